"""pose-rft serve: where it listens, how it ends."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import pytest
import uvicorn

from pose_rft.app import require_packages
from pose_rft.app.server import addresses, create_app, is_loopback, listen
from pose_rft.errors import UserError


@pytest.mark.parametrize(("host", "expected"), [
    ("127.0.0.1", True), ("127.8.0.1", True), ("::1", True), ("localhost", True),
    ("0.0.0.0", False), ("::", False), ("192.168.0.7", False), ("example.org", False), ("localhost.example.org", False),
])  # fmt: skip
def test_loopback_is_what_nobody_else_reaches(host, expected):
    assert is_loopback(host) is expected


@pytest.mark.parametrize("token", [None, ""])
def test_a_place_that_others_reach_needs_a_token(token):
    with pytest.raises(UserError, match=r"others can reach it, so it needs a token; set POSE_RFT_TOKEN"):
        listen("0.0.0.0", 0, token)
    listen("0.0.0.0", 0, "word").close()


def test_a_taken_port_and_an_unknown_host_are_told():
    with listen("127.0.0.1", 0, None) as first, pytest.raises(UserError, match="choose another --host or --port"):
        listen("127.0.0.1", first.getsockname()[1], None)
    with pytest.raises(UserError, match=r"serve on 300\.1\.1\.1:80: .*; choose another"):
        listen("300.1.1.1", 80, "word")


def opens(address):
    """Whether a connection to an address is taken."""
    place = urlsplit(address)
    with socket.create_connection((place.hostname, place.port), 5):
        return True


@pytest.mark.parametrize(
    ("host", "first"), [("0.0.0.0", "http://127.0.0.1"), ("0", "http://127.0.0.1"), ("::", "http://[::1]")]
)
def test_a_server_for_everybody_names_addresses_that_open(host, first):
    if host == "::" and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    with listen(host, 0, "word") as listener:
        places = addresses(host, listener)
        assert places[0] == f"{first}:{listener.getsockname()[1]}"
        assert all(opens(place) for place in places)
        assert not any(urlsplit(place).hostname in ("0.0.0.0", "::") for place in places)


def test_a_server_for_everybody_names_the_machine_s_own_address_too(monkeypatch):
    monkeypatch.setattr("pose_rft.app.server._address_towards", lambda *_: "192.168.0.7")
    with listen("0.0.0.0", 0, "word") as listener:
        port = listener.getsockname()[1]
        assert addresses("0.0.0.0", listener) == [f"http://127.0.0.1:{port}", f"http://192.168.0.7:{port}"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_at_one_place_names_that_place(host):
    with listen(host, 0, None) as listener:
        assert addresses(host, listener) == [f"http://{host}:{listener.getsockname()[1]}"]


def test_missing_packages_are_named_with_what_installs_them(monkeypatch):
    monkeypatch.setattr("pose_rft.app.find_spec", lambda name: None if name in ("gradio", "uvicorn") else object())
    with pytest.raises(UserError, match=r"gradio, uvicorn, not installed here; run: pip install 'pose-rft\[serve\]'"):
        require_packages()


@pytest.fixture
def served(patient_policy):
    """Address of a server around the patient policy, on a thread of its own."""
    app = create_app(patient_policy, with_page=False)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    with listen("127.0.0.1", 0, None) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield listener.getsockname()
        patient_policy.go.set()
        server.should_exit = True
        thread.join(20)


def _head(fields: str) -> bytes:
    return f"POST /v1/poses HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{fields}\r\n\r\n".encode()


def test_a_question_whose_client_leaves_is_not_answered(served, patient_policy):
    body = json.dumps({"prompt": "first"}).encode()
    with socket.create_connection(served, 20) as connection:
        connection.sendall(_head(f"Content-Length: {len(body)}") + body)
        assert patient_policy.started.wait(20)
        patient_policy.started.clear()
    second = http.client.HTTPConnection(*served, timeout=20)
    second.request("POST", "/v1/poses", json.dumps({"prompt": "second"}), {"Content-Type": "application/json"})
    assert patient_policy.started.wait(20)  # the policy goes on to the next, although the first was never let go
    assert patient_policy.stopped == [["first"]]
    patient_policy.go.set()
    assert json.loads(second.getresponse().read())["samples"][0]["text"] == "second"


def test_a_huge_body_is_refused_before_it_is_kept(served):
    with socket.create_connection(served, 20) as connection:
        connection.sendall(_head(f"Content-Length: {2**30}"))
        assert connection.recv(100).startswith(b"HTTP/1.1 413")
    with socket.create_connection(served, 20) as connection:
        connection.sendall(_head("Transfer-Encoding: chunked"))
        piece = b"x" * 2**20
        for _ in range(13):  # MiB; 12 are taken
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_what_is_in_flight_at_sigterm_is_finished(trained_policy, tmp_path):
    command = [sys.executable, "-m", "pose_rft.cli", "serve", "--port", "0", "--device", "cpu"]
    environment = os.environ | {"COLUMNS": "200"}
    with subprocess.Popen(
        [*command, "--checkpoint", str(trained_policy)],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        try:
            line = server.stdout.readline()
            assert line.startswith("Open http://127.0.0.1:"), line + server.stderr.read()
            port = int(line.split()[1].rsplit(":", 1)[1])
            body = json.dumps({"prompt": "wave"}).encode()
            head = "POST /v1/poses HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            head += f"Content-Length: {len(body)}\r\n\r\n"
            with socket.create_connection(("127.0.0.1", port), 20) as begun:
                begun.sendall(head.encode() + body[:5])
                idle = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                idle.request("GET", "/healthz")  # answered, so the server has seen the question's head too
                assert idle.getresponse().status == 200
                server.send_signal(signal.SIGTERM)
                for _ in range(1000):  # until it takes no more connections
                    try:
                        socket.create_connection(("127.0.0.1", port), 20).close()
                    except OSError:
                        break
                begun.sendall(body[5:])
                response = http.client.HTTPResponse(begun)
                response.begin()
                assert response.status == 200
                assert json.loads(response.read())["samples"][0]["text"] == "Done <POSE>."
            assert server.wait(30) == 0
            assert server.stderr.read() == ""
        finally:
            server.kill()
