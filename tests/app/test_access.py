"""Who may come in."""

import pytest

from pose_rft.app.access import same

TOKEN = "correct horse"
RIGHT = {"authorization": f"Bearer {TOKEN}"}
QUESTION = {"prompt": "wave"}


@pytest.fixture
def guarded(client_of, talking_policy):
    return client_of(talking_policy, token=TOKEN)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", TOKEN])
@pytest.mark.parametrize("path", ["/v1/poses", "/openapi.json", "/docs", "/gradio_api/info", "/nowhere"])
def test_without_the_token_nothing_but_health_is_shown(guarded, header, path):
    headers = {} if header is None else {"authorization": header}
    answer = guarded.post(path, json=QUESTION, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json() == {"detail": "token missing or wrong; send the header 'Authorization: Bearer TOKEN'"}
    assert guarded.get("/healthz", headers=headers).status_code == 200


def test_the_token_opens_the_api(guarded):
    assert guarded.post("/v1/poses", json=QUESTION, headers=RIGHT).status_code == 200


def test_a_browser_is_sent_to_a_form_whose_cookie_opens_everything(guarded):
    sent = guarded.get("/docs", headers={"accept": "text/html"}, follow_redirects=False)
    assert (sent.status_code, sent.headers["location"]) == (303, "/login")
    assert 'type="password"' in guarded.get("/login").text
    wrong = guarded.post("/login", data={"token": "guess"})
    assert wrong.status_code == 401
    assert "not the token" in wrong.text
    assert not guarded.cookies
    entered = guarded.post("/login", data={"token": TOKEN}, follow_redirects=False)
    assert entered.status_code == 303
    assert "httponly" in entered.headers["set-cookie"].lower()
    assert "samesite=strict" in entered.headers["set-cookie"].lower()
    assert TOKEN not in entered.headers["set-cookie"]
    assert guarded.get("/docs").status_code == 200
    assert guarded.post("/v1/poses", json=QUESTION).status_code == 200


def test_secrets_are_equal_only_if_all_of_them_is():
    assert same("töken", "töken")
    assert not same("töken", "töke")
    assert not same("", "t")


@pytest.mark.parametrize(("host", "status"), [("localhost", 200), ("127.0.0.1:7860", 200), ("[::1]:7860", 200),
                                              ("evil.example", 400), ("127.0.0.1.evil.example", 400)])  # fmt: skip
def test_without_a_token_only_loopback_names_are_answered(client, host, status):
    assert client.get("/healthz", headers={"host": host}).status_code == status


def test_who_has_no_token_cannot_fill_the_memory(guarded):
    answer = guarded.post("/login", content=(b"token=" + b"x" * 5000 for _ in range(20)))
    assert answer.status_code == 413
