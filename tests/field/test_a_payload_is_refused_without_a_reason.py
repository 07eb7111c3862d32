"""A byte order mark, a C string's NUL or a comma too many: the reply says that JSON is required, and no more.

Source: attack on 7bb949d, 2026-11
"""

import pytest

from tests.field.conftest import FieldSite
from zkbridge.contract.errors import BodyRequired
from zkbridge.contract.messages import parse_object

BODY = b'{"user_id":"1","name":"Ana","password":"geheim77"}'
ACCENTED = '{"user_id":"1","name":"Mu\u00f1oz","password":"geheim77"}'
CASES = [
    (b"\xef\xbb\xbf" + BODY, "it begins with a byte order mark (EF BB BF); send UTF-8 without one"),
    (BODY.decode().encode("utf-16"), "it is UTF-16; send UTF-8"),
    (BODY.decode().encode("utf-16-le"), "it has a NUL byte at byte 2"),
    (BODY + b"\0", f"it has a NUL byte at byte {len(BODY) + 1}"),
    (BODY + b"\0" * 40, f"it has a NUL byte at byte {len(BODY) + 1}"),
    (ACCENTED.encode("latin-1"), "it is not UTF-8 at byte 26"),
    (ACCENTED.encode()[:26], "it is not UTF-8 at byte 26"),
    (BODY[:-1] + b",}", f"it is not JSON at line 1, column {len(BODY) + 1}"),
    (BODY[:-2], f"it is not JSON at line 1, column {BODY.rindex(b'geheim77')}"),
    (BODY + BODY, f"it is not JSON at line 1, column {len(BODY) + 1}"),
    (b'{\n  "user_id": "1"\n  "name": "Ana"\n}', "it is not JSON at line 3, column 3"),
    (b"{'user_id': '1'}", "it is not JSON at line 1, column 2"),
    (b"user_id=1&name=Ana", "it is not JSON at line 1, column 1"),
    (b'{"name":"a\tb"}', "it is not JSON at line 1, column 11"),
    (b'{"password":"geheim77","password":"geheim77"}', "it has the key 'password' twice"),
    (b'{"card":NaN}', "NaN is not JSON"),
    (b'{"card":-Infinity}', "-Infinity is not JSON"),
    (b'{"card":1e9999999999999999999}', "a number is too large"),
    (b'{"a":' * 60_000, "it has too many levels"),
    (b"[1]", "it is a list, not an object"),
    (b'"geheim77"', "it is a string, not an object"),
    (b"true", "it is true or false, not an object"),
    (b"null", "it is null, not an object"),
    (b"12.5", "it is a number, not an object"),
]


@pytest.mark.parametrize(("payload", "detail"), CASES)
def test_the_detail_names_the_fault_and_its_place(payload: bytes, detail: str) -> None:
    with pytest.raises(BodyRequired) as caught:
        parse_object(payload)

    assert caught.value.details("en") == {"detail": detail}
    assert "geheim" not in str(caught.value.details("es"))


@pytest.mark.parametrize("payload", [b"", b" \n"])
def test_an_empty_payload_needs_no_reason(payload: bytes) -> None:
    with pytest.raises(BodyRequired) as caught:
        parse_object(payload)

    assert caught.value.details("en") == {}


@pytest.mark.parametrize("device", ["p", "both"])
def test_the_reply_has_the_detail_beside_the_sentence(field_site: FieldSite, device: str) -> None:
    assert field_site.ask(f"{device}/users/create", BODY + b"\0") == {
        "success": False,
        "error": "JSON body required.",
        "status": 400,
        "code": "body_required",
        "detail": f"it has a NUL byte at byte {len(BODY) + 1}",
    }
