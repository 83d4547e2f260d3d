"""Ask a running service something, over HTTP; the one client of both its ports. No opinions."""

from __future__ import annotations

import http.client
import json
from typing import Any

from pytest_sentinel.addresses import Address
from pytest_sentinel.errors import ServiceUnreachable

_MOST = 16 * 1024 * 1024


def ask(
    address: Address,
    path: str,
    *,
    method: str = "GET",
    token: str | None = None,
    body: dict[str, Any] | None = None,
    timeout: float = 5.0,
) -> tuple[int, str]:
    """Return the status and the text of a service's answer; ``timeout`` is seconds per step.

    Raises:
        ServiceUnreachable: nothing answers there, or what answers does not speak HTTP.
    """
    headers = {"Accept": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    payload = None if body is None else json.dumps(body).encode()
    connection = http.client.HTTPConnection(address.host, address.port, timeout=timeout)
    try:
        connection.request(method, path, payload, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(_MOST).decode(errors="replace")
    except TimeoutError:
        raise ServiceUnreachable(str(address), f"no answer within {timeout:g} s") from None
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ServiceUnreachable(str(address), why) from None
    finally:
        connection.close()


def ask_for_facts(address: Address, path: str, **how: Any) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON object of a service's answer; see ``ask``.

    Raises:
        ServiceUnreachable: nothing answers there, or what answers is no service of ours.
    """
    status, text = ask(address, path, **how)
    try:
        facts = json.loads(text)
    except ValueError:
        facts = None
    if not isinstance(facts, dict):
        first = text.strip().partition("\n")[0][:200]
        raise ServiceUnreachable(str(address), f"it answers {status} {first}".rstrip())
    return status, facts
