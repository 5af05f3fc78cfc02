"""What is taken for a credential, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.credentials import hide, is_secret_name, redact_subprotocol, redact_text, redact_url

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ws://localhost:8000/ws/", "ws://localhost:8000/ws/"),
        ("wss://user:pass@feed.example/ws?x=1", "wss://***@feed.example/ws?x=1"),
        ("wss://feed/ws/?api_key=abc&depth=5", "wss://feed/ws/?api_key=***&depth=5"),
        ("wss://feed/ws/?listenKey=abc&Token=&x=a%20b", "wss://feed/ws/?listenKey=***&Token=***&x=a%20b"),
        ("wss://u@h@feed/ws/", "wss://***@feed/ws/"),
        ("user:pass@feed/ws/", "***@feed/ws/"),
        ("wss://feed/ws/btcusdt@trade", "wss://feed/ws/btcusdt@trade"),
        ("wss://feed/ws/?sig=abc&x=1", "wss://feed/ws/?sig=***&x=1"),
        (f"wss://feed/ws/?{JWT}", "wss://feed/ws/?***="),
        (f"wss://feed/ws/?x={JWT}", "wss://feed/ws/?x=***"),
        ("wss://feed/ws/#token=abc", "wss://feed/ws/#token=***"),
        ("wss://[feed/ws/?token=abc", "wss://[feed/ws/"),
        ("/ws/?token=abc", "/ws/?token=***"),
        ("/ws/?passphrase=abc&code=def&sid=1&depth=5", "/ws/?passphrase=***&code=***&sid=***&depth=5"),
        ("/ws/?to%6ben=abc", "/ws/?token=***"),
        ("/ws/?x=1;token=abc", "/ws/?x=***"),
        ("/ws/?next=wss%3A%2F%2Fu%3Ap%40feed%2F", "/ws/?next=***"),
        ("", ""),
    ],
)
def test_credentials_are_taken_out_of_urls(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@given(st.text(alphabet="abcdefgh0123456789", min_size=8, max_size=20))
def test_no_secret_is_left_in_a_url(secret: str) -> None:
    url = f"wss://me:{secret}@feed/ws/?apiKey={secret}&jwt={secret}&signature={secret}&password={secret}"
    assert secret not in redact_url(url)


@pytest.mark.parametrize(
    "name",
    [
        "passphrase",
        "pass",
        "code",
        "sid",
        "pw",
        "pin",
        "sig",
        "otp",
        "totp",
        "PHPSESSID",
        "connect.sid",
        "userPass",
        "user_pw",
        "clientSID",
        "hmac",
        "csrf",
        "x-mfa",
        "SAMLResponse",
        "ticket",
        "api_key",
        "listenKey",
        "access_token",
        "Authorization",
        "signature",
    ],
)
def test_names_of_secrets_are_told(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "depth",
        "symbol",
        "symbols",
        "streams",
        "since",
        "id",
        "side",
        "limit",
        "interval",
        "currency_code",
        "countryCode",
        "statuscode",
        "bypass",
        "compass",
        "passenger",
        "inside",
        "resid",
        "presidential",
        "spin",
        "pinned",
        "opinion",
        "format",
        "encoding",
        "lang",
        "EIO",
        "transport",
        "t",
        "user",
        "credit",
    ],
)
def test_innocent_names_stay(name: str) -> None:
    assert not is_secret_name(name)


def test_urls_within_a_text_are_shown_without_credentials() -> None:
    said = "moved to 'wss://me:hunter2@feed/ws/?apiKey=hunter2', or (http://feed/?sid=hunter2)."
    assert redact_text(said) == "moved to 'wss://***@feed/ws/?apiKey=***', or (http://feed/?sid=***)."
    assert redact_text(f"no {JWT}, see http://feed/?x=a%20b") == "no ***, see http://feed/?x=a%20b"


@given(st.text(max_size=60))
def test_anything_can_be_taken_for_a_url(text: str) -> None:
    redact_url(text)


@pytest.mark.parametrize(
    ("chosen", "offered", "shown"),
    [
        (None, (), None),
        ("graphql-ws", ("graphql-ws",), "graphql-ws"),
        ("bearer", ("bearer", "hunter2"), "bearer"),
        ("hunter2", ("bearer", "hunter2"), "***"),
        ("v2", ("v1", "v2"), "v2"),
        (JWT, (JWT,), "***"),
        (f"bearer.{JWT}", (), "***"),
    ],
)
def test_a_subprotocol_that_is_a_token_is_hidden(chosen: str | None, offered: tuple[str, ...], shown: str) -> None:
    assert redact_subprotocol(chosen, offered) == shown


def test_a_known_secret_is_hidden_in_whatever_form_it_stands_in_a_url() -> None:
    assert hide("a b/c=d a%20b/c%3Dd a%20b%2Fc%3Dd a+b%2Fc%3Dd", ["a b/c=d", ""]) == "*** *** *** ***"
    assert hide("abcd ab", ["ab", "abcd"]) == "*** ***"


def test_a_text_without_a_url_loses_its_tokens_alone() -> None:
    assert redact_text("closed: nothing to hide") == "closed: nothing to hide"
