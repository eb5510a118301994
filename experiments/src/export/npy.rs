//! NumPy's file format, for masks.

// Ours: a header of one line and the values behind it; the crates for it bring an array library with them.

/// An array of booleans, row by row, as `numpy.load` reads it.
///
/// # Source
/// NumPy's documentation, `numpy.lib.format`, version 1.0: the header ends at a multiple of 64 bytes.
pub(super) fn booleans(values: &[bool], shape: &[usize]) -> Vec<u8> {
    let sizes: Vec<String> = shape.iter().map(|size| format!("{size},")).collect();
    let header = format!(
        "{{'descr': '|b1', 'fortran_order': False, 'shape': ({}), }}",
        sizes.join(" ")
    );
    const PREFIX: usize = 10;
    let len = (PREFIX + header.len() + 1).next_multiple_of(64) - PREFIX;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((len as u16).to_le_bytes());
    bytes.extend(format!("{header:<width$}\n", width = len - 1).bytes());
    bytes.extend(values.iter().map(|value| u8::from(*value)));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `numpy.save` writes `numpy.array([[True, False, True]])`, but for the comma behind the last size.
    #[test]
    fn the_header_is_numpys() {
        let bytes = booleans(&[true, false, true], &[1, 3]);
        assert_eq!(bytes.len(), 128 + 3);
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        let header = std::str::from_utf8(&bytes[10..128]).unwrap();
        assert!(header.starts_with("{'descr': '|b1', 'fortran_order': False, 'shape': (1, 3,), }"));
        assert!(header.ends_with(" \n"));
        assert_eq!(bytes[128..], [1, 0, 1]);
    }
}
