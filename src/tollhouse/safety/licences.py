"""The headers by which code tells its licence: rows of data.

`safety.protected` looks for their words, whatever comment signs stand between them; `safety.results` cites them.
"""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct


class Licence(Struct, frozen=True):
    """A licence, and the phrases of its header: all of them have to stand in a text."""

    id: str
    """As SPDX has it: https://spdx.org/licenses/."""
    phrases: tuple[str, ...]

    @property
    def url(self) -> str:
        """Where its text is."""
        return f"https://spdx.org/licenses/{self.id}.html"


_GNU = "general public license as published by the free software foundation"
_BSD = "redistribution and use in source and binary forms with or without modification are permitted"
_ROWS = (
    Licence("AGPL-3.0", (f"gnu affero {_GNU}",)),
    Licence("LGPL-3.0", (f"gnu lesser {_GNU}", "version 3 of the license")),
    Licence("LGPL-2.1", (f"gnu lesser {_GNU}",)),
    Licence("GPL-3.0", (f"gnu {_GNU}", "version 3 of the license")),
    Licence("GPL-2.0", (f"gnu {_GNU}",)),
    Licence("Apache-2.0", ("licensed under the apache license version 2.0",)),
    Licence("MPL-2.0", ("subject to the terms of the mozilla public license v 2.0",)),
    Licence("EPL-2.0", ("under the terms of the eclipse public license 2.0",)),
    Licence("EPL-2.0", ("under the terms of the eclipse public license v 2.0",)),
    Licence("MIT", ("permission is hereby granted free of charge to any person obtaining a copy",)),
    Licence("BSD-3-Clause", (_BSD, "to endorse or promote products derived from this software")),
    Licence("BSD-2-Clause", (_BSD,)),
    Licence("ISC", ("permission to use copy modify and or distribute this software for any purpose",)),
    Licence("BSL-1.0", ("distributed under the boost software license version 1.0",)),
    Licence("Unlicense", ("this is free and unencumbered software released into the public domain",)),
    Licence("Zlib", ("in no event will the authors be held liable for any damages arising from the use",)),
    Licence("CDDL-1.0", ("the terms of the common development and distribution license",)),
)
_TAGGED = (
    *("AGPL-3.0", "LGPL-3.0", "LGPL-2.1", "GPL-3.0", "GPL-2.0", "Apache-2.0", "MPL-2.0", "EPL-2.0", "MIT"),
    *("BSD-3-Clause", "BSD-2-Clause", "ISC", "BSL-1.0", "Unlicense", "Zlib", "CDDL-1.0"),
)
LICENCES: tuple[Licence, ...] = (
    *_ROWS,
    *(Licence(name, (f"spdx-license-identifier: {name}",)) for name in _TAGGED),
)
"""By falling strictness of what is asked of who copies; where several fit, the first is told."""
URLS: Mapping[str, str] = MappingProxyType({licence.id: licence.url for licence in LICENCES})
