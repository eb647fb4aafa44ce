"""``[providers.google-vertex]``: an address made of a project and a region, and a service account."""

from pathlib import Path

import pytest

from tests.settings.test_signed_hosts import problems, read

VERTEX = '[providers.google-vertex]\naccount = "env:ACCOUNT"\n'
ACCOUNT = '{"type":"service_account"}'


@pytest.mark.parametrize(
    ("region", "host"),
    [("europe-west4", "europe-west4-aiplatform.googleapis.com"), ("global", "aiplatform.googleapis.com")],
)
def test_project_and_region_make_the_address(tmp_path: Path, region: str, host: str) -> None:
    """The global location has a host without a name in front; requests are signed with the account."""
    found = read(tmp_path, VERTEX + f'project = "p1"\nregion = "{region}"\n', ACCOUNT=ACCOUNT)
    assert found.base_url == f"https://{host}/v1/projects/p1/locations/{region}/publishers/google"
    assert found.auth == "google"
    assert [name for name, _ in found.secrets] == ["account"]


def test_the_environment_holds_project_and_region_too(tmp_path: Path) -> None:
    """Google's own variables, and those that other tools know; what is in neither is asked for."""
    found = read(tmp_path, VERTEX, ACCOUNT=ACCOUNT, GOOGLE_CLOUD_PROJECT="p2", GOOGLE_VERTEX_LOCATION="us-east5")
    assert "/projects/p2/locations/us-east5/" in found.base_url
    assert problems(tmp_path, VERTEX, ACCOUNT=ACCOUNT, GOOGLE_CLOUD_PROJECT="p2").keys() == {
        "providers.google-vertex.region"
    }


def test_an_api_key_needs_no_account(tmp_path: Path) -> None:
    """Express mode: the address is stated, and the key goes into its header."""
    text = '[providers.google-vertex]\nbase_url = "https://aiplatform.googleapis.com/v1/publishers/google"\n'
    found = read(tmp_path, text + 'auth = "x-goog-api-key"\napi_key = "env:KEY"\n', KEY="a-key-0123456789")
    assert (found.auth, found.secrets) == ("x-goog-api-key", ())
    assert found.credential is not None
