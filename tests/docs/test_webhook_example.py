"""The Python example of the page about webhooks accepts what the operator signs, and nothing else."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.docs.blocks import ROOT, parse_blocks

from pgimport.webhooks.signature import sign

KEY, BODY = b"0123456789abcdef", b'{"job":{}}'
(EXAMPLE,) = [
    block
    for block in parse_blocks(ROOT / "docs/operations/webhooks.md")
    if block.marks.get("file") == "verify_webhook.py"
]


def load_example() -> Callable[..., bool]:
    names: dict[str, Any] = {}
    exec(EXAMPLE.text, names)  # noqa: S102 (the page's own code)
    verify: Callable[..., bool] = names["is_genuine"]
    return verify


def test_the_example_accepts_a_signature_of_the_operator() -> None:
    assert load_example()(KEY, sign(KEY, BODY, int(time.time())), BODY)


def test_the_example_refuses_another_body_key_or_time() -> None:
    verify, now = load_example(), int(time.time())
    assert not verify(KEY, sign(KEY, BODY, now), BODY + b" ")
    assert not verify(b"another key 1234", sign(KEY, BODY, now), BODY)
    assert not verify(KEY, sign(KEY, BODY, now - 3600), BODY)
    assert not verify(KEY, sign(KEY, BODY, now - 3600).replace(str(now - 3600), str(now)), BODY)


@pytest.mark.parametrize(
    "signature", ["", "x", "t=", "t=,v1=", "t=x,v1=y", "v1=a", "t={now}", "t={now},v1=é", "t=" + 5000 * "9", "t=٣,v1=x"]
)
def test_the_example_refuses_a_header_of_another_shape(signature: str) -> None:
    assert not load_example()(KEY, signature.format(now=int(time.time())), BODY)
