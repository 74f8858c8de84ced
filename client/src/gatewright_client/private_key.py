"""Signs with a private key of a PEM text, for `Assertion`; needs the extra `private-key`."""

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key


def es256(pem: str | bytes, password: str | None = None) -> Callable[[bytes], bytes]:
    """The signing function of a P-256 key (RFC 7518 §3.4).

    Raises:
        ValueError: the text holds no such key.
    """
    key = load_pem_private_key(pem.encode() if isinstance(pem, str) else pem, None if password is None else password.encode())
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise ValueError("ES256 needs a private key on the curve P-256")  # noqa: TRY004 - the text is wrong, not its type

    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(data, ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)

    return sign
