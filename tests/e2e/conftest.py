"""One gateway in a process of its own for all SDK tests, in front of its embedded models and of a scripted upstream."""

from collections.abc import Iterator

import openai
import pytest

from tests.e2e.backstage import CONFIG, SECRET, Backstage
from tests.e2e.process import Gateway, running


@pytest.fixture(scope="session")
def stage() -> Iterator[Backstage]:
    """The upstream."""
    with Backstage() as upstream:
        yield upstream


@pytest.fixture(scope="session")
def gateway(stage: Backstage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The gateway."""
    config = CONFIG.format(port=stage.up.port)
    with running(tmp_path_factory.mktemp("gateway"), config, environ={"STAGE_KEY": SECRET}) as process:
        yield process


@pytest.fixture(scope="session")
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    """OpenAI's SDK, without retries, pointed at it."""
    with openai.OpenAI(base_url=gateway.url, api_key=gateway.key, max_retries=0, timeout=20) as sdk:
        yield sdk
