"""What checking an access token costs, beside the bare signature check and another library: µs per token.

python bench/guard_verify.py [ROUNDS]
"""

import sys
import time
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from gatewright_guard.jose import KeySet, b64url, public_key, unb64url, verify
from gatewright_guard.verify import verify_access_token

NOW: Final = 1_800_000_000
ISSUER: Final = "https://id.acme.test"
AUDIENCE: Final = "https://bank.acme.test"
CLAIMS: Final = {
    "iss": ISSUER,
    "sub": "us_0n4hk2v9qw3xt",
    "aud": AUDIENCE,
    "exp": NOW + 900,
    "iat": NOW,
    "jti": b64url(bytes(16)),
    "client_id": "budget-buddy",
    "scope": "read:balance transfer:funds openid",
    "gw_az": "az_0n4hk2v9qw3xt",
    "account_id": "ac_0n4hk2v9qw3xt",
    "account": "acme-dev",
}
KEYS: Final[dict[str, Callable[[], Key]]] = {
    "ES256": lambda: ECKey.generate_key("P-256", {"kid": "k1", "alg": "ES256", "use": "sig"}),
    "ES384": lambda: ECKey.generate_key("P-384", {"kid": "k1", "alg": "ES384", "use": "sig"}),
    "RS256": lambda: RSAKey.generate_key(2048, {"kid": "k1", "alg": "RS256", "use": "sig"}),
    "PS256": lambda: RSAKey.generate_key(2048, {"kid": "k1", "alg": "PS256", "use": "sig"}),
    "Ed25519": lambda: OKPKey.generate_key("Ed25519", {"kid": "k1", "alg": "Ed25519", "use": "sig"}),
}


def micros(act: Callable[[], object], rounds: int) -> float:
    """The best of seven runs: what is asked is the cost of the code, not of the neighbours."""
    best = float("inf")
    for _ in range(7):
        start = time.perf_counter()
        for _ in range(rounds):
            act()
        best = min(best, time.perf_counter() - start)
    return best / rounds * 1e6


def bare(alg: str, key: Key, token: str) -> Callable[[], object]:
    """The signature check alone, everything else done beforehand."""
    signed, _, last = token.rpartition(".")
    message, signature = signed.encode(), unb64url(last)
    public = key.public_key
    if isinstance(public, ec.EllipticCurvePublicKey):
        half = len(signature) // 2
        r, s = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
        der = encode_dss_signature(r, s)
        how = ec.ECDSA(hashes.SHA256() if alg == "ES256" else hashes.SHA384())
        return lambda: public.verify(der, message, how)
    if isinstance(public, rsa.RSAPublicKey):
        digest = hashes.SHA256()
        scheme = padding.PSS(padding.MGF1(digest), 32) if alg == "PS256" else padding.PKCS1v15()
        return lambda: public.verify(signature, message, scheme, digest)
    assert isinstance(public, ed25519.Ed25519PublicKey)
    return lambda: public.verify(signature, message)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print(f"{'alg':6} {'bare':>8} {'jws':>8} {'access':>8} {'joserfc':>8}   access/bare")
    for alg, make in KEYS.items():
        key = make()
        token = jwt.encode({"alg": alg, "typ": "at+jwt", "kid": "k1"}, CLAIMS, key, algorithms=[alg])
        keys = KeySet((public_key(key.as_dict(private=False)),))
        floor = micros(bare(alg, key, token), rounds)
        jws = micros(lambda token=token, keys=keys: verify(token, keys), rounds)  # type: ignore[misc]
        ours = micros(
            lambda token=token, keys=keys: verify_access_token(token, keys, issuer=ISSUER, audience=AUDIENCE, now=NOW),  # type: ignore[misc]
            rounds,
        )
        theirs = micros(lambda token=token, key=key, alg=alg: jwt.decode(token, key, algorithms=[alg]), rounds)  # type: ignore[misc]
        print(f"{alg:6} {floor:8.1f} {jws:8.1f} {ours:8.1f} {theirs:8.1f}   {ours / floor:.2f}")


if __name__ == "__main__":
    main()
