//! What a client can bind itself to (`tls-server-end-point`, RFC 5929): the hash of the server's certificate, by the hash
//! function of its own signature, or SHA-256 where that is too old.
//!
//! There is none for a signature whose hash function nobody has agreed upon (Ed25519) or is written elsewhere (RSA-PSS):
//! then a server does not offer it.

use sha2::{Digest, Sha256, Sha384, Sha512};

use super::der::{OBJECT, SEQUENCE, expect};

/// What signatures are made with, as DER writes it.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
const ECDSA_SHA2: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];

/// The hash of a certificate.
pub(super) fn of(certificate: &[u8]) -> Option<Vec<u8>> {
    let (content, _) = expect(certificate, SEQUENCE)?;
    let (_signed, rest) = expect(content, SEQUENCE)?;
    let (algorithm, _signature) = expect(rest, SEQUENCE)?;
    let (name, _parameters) = expect(algorithm, OBJECT)?;
    if name == ECDSA_SHA1 {
        return Some(Sha256::digest(certificate).to_vec());
    }
    let (last, family) = name.split_last()?;
    match (family, last) {
        // MD5 and SHA-1 are answered with SHA-256.
        (RSA, 4 | 5 | 11) | (ECDSA_SHA2, 2) => Some(Sha256::digest(certificate).to_vec()),
        (RSA, 12) | (ECDSA_SHA2, 3) => Some(Sha384::digest(certificate).to_vec()),
        (RSA, 13) | (ECDSA_SHA2, 4) => Some(Sha512::digest(certificate).to_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(algorithm: &[u8]) -> Vec<u8> {
        let wrapped = |tag: u8, content: &[u8]| [&[tag, content.len() as u8][..], content].concat();
        let algorithm = wrapped(SEQUENCE, &wrapped(OBJECT, algorithm));
        wrapped(SEQUENCE, &[wrapped(SEQUENCE, b"signed"), algorithm, vec![3, 1, 0]].concat())
    }

    #[test]
    fn the_hash_is_that_of_the_signature_and_none_where_nobody_agrees() {
        let length = |algorithm: &[u8]| of(&certificate(algorithm)).map(|hash| hash.len());
        for (algorithm, expected) in [
            ([RSA, &[5]].concat(), Some(32)),
            ([RSA, &[11]].concat(), Some(32)),
            ([RSA, &[12]].concat(), Some(48)),
            ([RSA, &[13]].concat(), Some(64)),
            ([RSA, &[10]].concat(), None),
            (ECDSA_SHA1.to_vec(), Some(32)),
            ([ECDSA_SHA2, &[2]].concat(), Some(32)),
            ([ECDSA_SHA2, &[3]].concat(), Some(48)),
            (vec![0x2b, 0x65, 0x70], None),
        ] {
            assert_eq!(length(&algorithm), expected, "{algorithm:?}");
        }
        let good = certificate(&[RSA, &[11]].concat());
        assert_eq!(of(&good), Some(Sha256::digest(&good).to_vec()));
        (0..good.len()).for_each(|end| assert_eq!(of(&good[..end]), None));
    }
}
