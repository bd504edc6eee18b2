"""What a whole daemon says of itself: the document holds the routes of every channel and page that is served."""

from __future__ import annotations

from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.system.daemon import Daemon

OF_CHANNELS = {"/v1/phone/kamailio/events", "/chat/files", "/v1/kiosk/checkins", "/v1/blobs/{digest}/pages"}


async def test_the_document_of_a_whole_daemon_is_served_and_valid(daemon: Daemon) -> None:
    """Channels know nothing of each other: that two of them call a struct by the same name must do no harm."""
    status, document = await daemon.get("/v1/openapi.json")
    assert status == 200, document
    OpenAPIV31SpecValidator(document).validate()
    assert OF_CHANNELS - set(document["paths"]) == set()
