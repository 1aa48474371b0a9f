"""Which addresses a webhook may reach (T57).

A name is resolved once, every address that it has is judged, and the connection goes to the one
that was judged: a second answer of the name server changes nothing. Public addresses may be
reached, private ones where the configuration lists their network, a place on this machine where it
is listed with its port; link-local addresses (cloud metadata), multicast and the like never.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable

from moteye.errors import ActionError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_HINT = "actions: webhook: allow: in the agent's configuration"


async def resolve_name(host: str, port: int) -> list[str]:
    """All addresses of a name, in the system's order. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class AddressRules:
    """Judges addresses by what the configuration allows; see WebhookSettings.allow."""

    def __init__(self, allow: list[str], resolve: Resolve = resolve_name) -> None:
        self._places = {entry for entry in allow if "/" not in entry and _has_port(entry)}
        self._networks = [ipaddress.ip_network(e) for e in allow if e not in self._places]
        self._resolve = resolve

    async def pin(self, host: str, port: int) -> str:
        """The address to connect to. Raises ActionError, permanent where it is not allowed."""
        try:
            texts = await self._resolve(host, port)
        except OSError as error:
            raise ActionError(f"{host}: the name is not known ({error})") from error
        if not texts:
            raise ActionError(f"{host}: the name has no address")
        for text in texts:
            reason = self._refused(ipaddress.ip_address(text.partition("%")[0]), port)
            if reason:
                raise ActionError(f"{host} is {text}, {reason}", permanent=True)
        return texts[0]

    def _refused(self, address: Address, port: int) -> str:
        """Why an address is not reached, or nothing."""
        address = _inner(address)
        if address.is_loopback:
            place = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
            return "" if place in self._places else f"this machine: list {place} under {_HINT}"
        if address.is_link_local or address.is_multicast or address.is_unspecified:
            return "an address that no webhook reaches"
        if any(address in network for network in self._networks):
            return ""
        if not address.is_global:
            return f"a private address: list its network under {_HINT}"
        return ""


def _has_port(entry: str) -> bool:
    host, colon, port = entry.rpartition(":")
    return bool(colon) and port.isdigit() and ("]" in host or ":" not in host)


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, where it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
