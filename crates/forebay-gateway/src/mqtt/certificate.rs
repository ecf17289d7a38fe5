//! The common name of a certificate's subject. TLS has checked the certificate; here only its name is read.
//!
//! What is needed of DER is small: walk to the subject, which is the sixth field of the certificate's body (with the version, which
//! may be absent), and in it to the attribute with the object identifier 2.5.4.3.

/// One value of DER: its tag, what it holds, and what is behind it.
struct Value<'a> {
    tag: u8,
    content: &'a [u8],
    rest: &'a [u8],
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const VERSION: u8 = 0xA0;
const UTF8_STRING: u8 = 0x0C;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

fn value(input: &[u8]) -> Option<Value<'_>> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(first) {
        short @ 0..=0x7F => (short, rest),
        long @ 0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(long - 0x80)?;
            (bytes.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some(Value { tag, content, rest })
}

fn expect(input: &[u8], tag: u8) -> Option<Value<'_>> {
    value(input).filter(|value| value.tag == tag)
}

/// The last common name of the subject, which is the most specific one.
pub fn common_name(der: &[u8]) -> Option<String> {
    let certificate = expect(der, SEQUENCE)?;
    let body = expect(certificate.content, SEQUENCE)?;
    let mut fields = body.content;
    if let Some(version) = expect(fields, VERSION) {
        fields = version.rest;
    }
    // Serial number, signature's algorithm, issuer, validity.
    for _ in 0..4 {
        fields = value(fields)?.rest;
    }
    let mut names = expect(fields, SEQUENCE)?.content;
    let mut found = None;
    while let Some(set) = expect(names, SET) {
        names = set.rest;
        let mut attributes = set.content;
        while let Some(attribute) = expect(attributes, SEQUENCE) {
            attributes = attribute.rest;
            let Some(kind) = expect(attribute.content, OBJECT_IDENTIFIER) else { continue };
            if kind.content == COMMON_NAME
                && let Some(name) = value(kind.rest)
                && matches!(name.tag, UTF8_STRING | PRINTABLE_STRING | IA5_STRING)
            {
                found = std::str::from_utf8(name.content).ok().map(str::to_owned);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate's body as far as it is read, with a subject of an organisation and a common name.
    fn certificate(common: &[u8]) -> Vec<u8> {
        let field = |tag: u8, content: &[u8]| [&[tag, content.len() as u8], content].concat();
        let attribute = |id: &[u8], text: &[u8]| {
            field(SET, &field(SEQUENCE, &[field(OBJECT_IDENTIFIER, id), field(UTF8_STRING, text)].concat()))
        };
        let subject = [attribute(&[0x55, 4, 10], b"plant"), attribute(&COMMON_NAME, common)].concat();
        let body = [
            field(VERSION, &[2, 1, 2]),
            field(2, &[1]),
            field(SEQUENCE, &[]),
            field(SEQUENCE, &attribute(&COMMON_NAME, b"issuer")),
            field(SEQUENCE, &[]),
            field(SEQUENCE, &subject),
        ];
        field(SEQUENCE, &field(SEQUENCE, &body.concat()))
    }

    #[test]
    fn the_subject_is_read_and_not_the_issuer() {
        let der = certificate(b"device-7");
        assert_eq!(common_name(&der).as_deref(), Some("device-7"));
        for end in 0..der.len() {
            assert_eq!(common_name(&der[..end]), None);
        }
    }
}
