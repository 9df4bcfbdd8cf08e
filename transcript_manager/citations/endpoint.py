"""
One question to a language model behind an OpenAI-compatible address, and its answer.

The address is asked directly: neither proxies of the environment nor redirects are followed.
Certificates are checked against those that the system trusts.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
import http.client
import ipaddress
import json
import re
import socket
import ssl
import threading
from typing import Any
from urllib.parse import urlsplit

from transcript_manager.errors import EndpointError, ParameterError

MAX_ANSWER_BYTES = 4 * 1024 * 1024
_PATH = '/chat/completions'
_MAX_MESSAGE = 300
_THOUGHT = '</think>'
"""What some models end their thinking aloud with."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a language model listens."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """Its address, in full."""
        host = f'[{self.host}]' if ':' in self.host else self.host
        default = {'http': 80, 'https': 443}[self.scheme]
        port = '' if self.port == default else f':{self.port}'
        return f'{self.scheme}://{host}{port}{self.path}'

    @property
    def is_here(self) -> bool:
        """True: it is on this computer."""
        if self.host.lower() == 'localhost':
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a language model answered."""

    raw: str
    """As it came."""
    text: str
    """Without what it thought aloud."""
    is_cut: bool
    """True: it came to its limit of tokens before its end."""
    usage: dict[str, int]
    """Tokens as the server counted them; empty if it does not tell."""


def parse_endpoint(url: str) -> Endpoint:
    """
    Read the base address of an OpenAI-compatible server, such as http://localhost:11434/v1.

    :raises ParameterError: if it is none, or has parts that do not belong there
    """
    if '@' in url:  # not repeated in any message: it may hold a password
        raise ParameterError(
            '--endpoint is an address only: no user, password, "?" or "#" in it; '
            'a key goes into an environment variable (--api-key-env)'
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ParameterError(f'--endpoint {url!r} is no address: {error}') from None
    if parts.scheme not in ('http', 'https') or not host or not _is_plain(url):
        raise ParameterError(
            f'--endpoint {url!r} is no address such as http://localhost:11434/v1: '
            'it begins with http:// or https://'
        )
    if parts.query or parts.fragment:
        raise ParameterError(
            '--endpoint is an address only: no user, password, "?" or "#" in it; '
            'a key goes into an environment variable (--api-key-env)'
        )
    path = parts.path.rstrip('/').removesuffix(_PATH) + _PATH
    return Endpoint(parts.scheme, host, port or (443 if parts.scheme == 'https' else 80), path)


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and ' ' not in text


def request_body(*, model: str, prompt: str, max_tokens: int | None = None) -> dict[str, Any]:
    """Return what is sent: the prompt as one message, at temperature 0."""
    body: dict[str, Any] = {
        'model': model,
        # One message of the user: some models know no other roles.
        'messages': [{'role': 'user', 'content': prompt}],
        'temperature': 0,
        'stream': False,
    }
    if max_tokens is not None:
        body['max_tokens'] = max_tokens
    return body


def ask(
    endpoint: Endpoint, body: dict[str, Any], *, timeout_s: float, api_key: str | None = None
) -> Answer:
    """
    Send a request and wait for its whole answer.

    :param timeout_s: for connection, question and answer together [s]
    :param api_key: sent as a bearer token; never shown
    :raises EndpointError: in one line what went wrong
    """
    if api_key is not None and not _is_plain(api_key):
        raise ParameterError('the API key holds characters that no key has')
    status, headers, data = _post(endpoint, body, timeout_s, api_key)
    if 300 <= status < 400:
        target = headers.get('Location', 'nowhere')
        raise EndpointError(
            f'{endpoint.url} redirects to {_short(target, api_key)}; that is not followed: '
            'give the address itself, if you trust it'
        )
    if status != 200:
        message = _short(_server_message(data), api_key)
        raise EndpointError(f'{endpoint.url} answered with HTTP {status}: {message}')
    if len(data) > MAX_ANSWER_BYTES:
        raise EndpointError(f'{endpoint.url} sends more than {MAX_ANSWER_BYTES >> 20} MiB')
    return _answer(endpoint, data, api_key)


def _post(
    endpoint: Endpoint, body: dict[str, Any], timeout_s: float, api_key: str | None
) -> tuple[int, http.client.HTTPMessage, bytes]:
    headers = {'Content-Type': 'application/json', 'Accept': 'application/json'}
    if api_key:
        headers['Authorization'] = f'Bearer {api_key}'
    is_tls = endpoint.scheme == 'https'
    kind = http.client.HTTPSConnection if is_tls else http.client.HTTPConnection
    connection = kind(endpoint.host, endpoint.port)
    is_late = threading.Event()
    sockets: list[socket.socket] = []  # http.client forgets its own while a body comes in

    def give_up() -> None:
        is_late.set()
        for sock in sockets:
            with contextlib.suppress(OSError):
                # Wakes whoever waits for it; TLS itself must not be touched from this thread.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    # A socket's own time-out begins anew with each byte.
    timer = threading.Timer(timeout_s, give_up)
    timer.daemon = True
    timer.start()
    late = EndpointError(f'{endpoint.url} gave no full answer within {timeout_s:g} s (--timeout)')
    try:
        sock = socket.create_connection((endpoint.host, endpoint.port), timeout_s)
        if is_tls:
            context = ssl.create_default_context()
            sock = context.wrap_socket(
                sock, server_hostname=endpoint.host, do_handshake_on_connect=False
            )
        connection.sock = sock
        sockets.append(sock)
        if is_tls:
            sock.do_handshake()
        connection.request('POST', endpoint.path, json.dumps(body).encode(), headers)
        response = connection.getresponse()
        data = response.read(MAX_ANSWER_BYTES + 1)
        if is_late.is_set():
            raise late
        if response.length and len(data) <= MAX_ANSWER_BYTES:
            raise EndpointError(f'{endpoint.url} ended the connection in the middle of its answer')
        return response.status, response.headers, data
    except TimeoutError:
        raise late from None
    except (OSError, http.client.HTTPException) as error:
        if is_late.is_set():
            raise late from None
        raise EndpointError(_reason(endpoint, error)) from error
    finally:
        timer.cancel()
        connection.close()


def _reason(endpoint: Endpoint, error: Exception) -> str:
    """Say what is wrong with a connection, and what to do."""
    match error:
        case ConnectionRefusedError():
            return f'nobody listens at {endpoint.url}: is the server running?'
        case socket.gaierror():
            return f'there is no computer called {endpoint.host} ({error.strerror})'
        case ssl.SSLCertVerificationError():
            return f'{endpoint.url}: its certificate is not trusted ({error.verify_message})'
        case ssl.SSLError():
            reason = error.reason or error.strerror or 'TLS error'
            return f'{endpoint.url} does not speak TLS as it should ({reason}): http:// instead?'
        case http.client.RemoteDisconnected() | http.client.IncompleteRead():
            return f'{endpoint.url} ended the connection in the middle of its answer'
        case http.client.HTTPException():
            return f'{endpoint.url} does not answer in HTTP ({type(error).__name__})'
        case _:
            return f'cannot reach {endpoint.url}: {getattr(error, "strerror", None) or error}'


def _server_message(data: bytes) -> str:
    """Find the message in an error's body; each server has a shape of its own."""
    text = data[:10_000].decode('utf-8', 'replace')
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return re.sub(r'<[^<>]*>', ' ', text)
    error = value.get('error', value) if isinstance(value, dict) else value
    if isinstance(error, dict):
        error = error.get('message') or error.get('detail') or json.dumps(error)
    return str(error)


def _short(text: str, api_key: str | None) -> str:
    """Make one line of what a server says; a key that it repeats stays secret."""
    if api_key:
        text = text.replace(api_key, '***')
    line = ' '.join(''.join(c if c.isprintable() else ' ' for c in text).split())
    return line if len(line) <= _MAX_MESSAGE else line[:_MAX_MESSAGE] + '\u2026'


def _answer(endpoint: Endpoint, data: bytes, api_key: str | None) -> Answer:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        begin = _short(data[:100].decode('utf-8', 'replace'), api_key)
        raise EndpointError(f'{endpoint.url} answered with no JSON: {begin!r}') from None
    try:
        choice = value['choices'][0]
        raw = choice['message']['content']
    except (KeyError, IndexError, TypeError):
        choice, raw = {}, 0
    if raw is not None and not isinstance(raw, str):
        message = _short(_server_message(data), api_key)
        raise EndpointError(
            f'{endpoint.url} answered with JSON that has no choices[0].message.content: {message}'
        )
    # JSON can hold halves of characters, which no file can.
    raw = (raw or '').encode('utf-8', 'replace').decode()
    text = raw.rpartition(_THOUGHT)[2].strip()
    if not text:
        raise EndpointError(f'{endpoint.url} answered with an empty text')
    usage = value.get('usage')
    counts = usage.items() if isinstance(usage, dict) else ()
    known = {k: n for k, n in counts if k in ('prompt_tokens', 'completion_tokens')}
    return Answer(
        raw,
        text,
        choice.get('finish_reason') == 'length',
        {k: n for k, n in known.items() if isinstance(n, int) and not isinstance(n, bool)},
    )
