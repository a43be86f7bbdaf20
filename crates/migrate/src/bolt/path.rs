//! The place of a bucket in the file.

use std::fmt;
use std::sync::Arc;

/// Names from the top level down to a bucket.
///
/// A list linked towards the root, so that a child's path costs its own name only: a hostile file can
/// hold many buckets below a long path.
#[derive(Debug, Clone, Default)]
pub(crate) struct BucketPath(Option<Arc<Link>>);

#[derive(Debug)]
struct Link {
    parent: BucketPath,
    name: Vec<u8>,
    depth: usize,
}

impl BucketPath {
    pub(crate) fn child(&self, name: &[u8]) -> BucketPath {
        let depth = self.depth().saturating_add(1);
        let link = Link { parent: self.clone(), name: name.to_vec(), depth };
        BucketPath(Some(Arc::new(link)))
    }

    /// Number of names; 0 for the root bucket.
    pub(crate) fn depth(&self) -> usize {
        self.0.as_ref().map_or(0, |link| link.depth)
    }

    pub(crate) fn name(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |link| &link.name)
    }

    pub(crate) fn to_vec(&self) -> Vec<Vec<u8>> {
        let mut names = Vec::with_capacity(self.depth());
        let mut at = self;
        while let Some(link) = &at.0 {
            names.push(link.name.clone());
            at = &link.parent;
        }
        names.reverse();
        names
    }
}

/// Shows a bucket path for people: names joined by slashes, as text where printable,
/// with the rest escaped where they mostly are, else in hex.
///
/// Long names are cut; the root bucket shows as `/`.
pub fn display_path(path: &[Vec<u8>]) -> impl fmt::Display + '_ {
    ShowPath(path)
}

/// Bytes of a name shown at most; more than the longest one lnd uses.
const SHOWN: usize = 80;

/// Longest names that are numbers: some of them happen to look like text.
const NUMBER: usize = 8;

struct ShowPath<'a>(&'a [Vec<u8>]);

impl fmt::Display for ShowPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("/");
        }
        for (i, name) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("/")?;
            }
            show_name(name, f)?;
        }
        Ok(())
    }
}

fn show_name(name: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let shown = name.get(..SHOWN).unwrap_or(name);
    let graphic = shown.iter().filter(|byte| byte.is_ascii_graphic()).count();
    match std::str::from_utf8(shown) {
        Ok(text) if graphic == shown.len() => f.write_str(text)?,
        // Text with a number behind it, or with spaces.
        _ if shown.len() > NUMBER && graphic * 8 >= shown.len() * 7 => {
            write!(f, "{}", shown.escape_ascii())?;
        }
        _ => shown.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?,
    }
    if shown.len() < name.len() {
        write!(f, "...({} bytes)", name.len())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_text_hex_and_root() {
        let path = [b"open-chan-bucket".to_vec(), vec![0x02, 0xff], b"a b".to_vec()];
        assert_eq!(display_path(&path).to_string(), "open-chan-bucket/02ff/612062");
        assert_eq!(display_path(&[]).to_string(), "/");
    }

    #[test]
    fn escapes_what_is_no_text_in_text() {
        let shown = |name: &[u8]| display_path(&[name.to_vec()]).to_string();
        assert_eq!(shown(b"chan-commitment-key\x00"), "chan-commitment-key\\x00");
        assert_eq!(shown(b"somebody else's"), "somebody else\\'s");
        assert_eq!(shown(b"\x00\x00\x00\x00abcd"), "0000000061626364");
        assert_eq!(shown(&[b'a'; 8]), "aaaaaaaa");
    }

    #[test]
    fn cuts_long_names() {
        let shown = display_path(&[vec![b'x'; SHOWN]]).to_string();
        assert_eq!(shown, "x".repeat(SHOWN));
        let shown = display_path(&[vec![0xab; 32768]]).to_string();
        assert_eq!(shown, "ab".repeat(SHOWN) + "...(32768 bytes)");
    }

    #[test]
    fn path_is_top_down() {
        let path = BucketPath::default().child(b"a").child(b"b");
        assert_eq!(path.to_vec(), [b"a".to_vec(), b"b".to_vec()]);
        assert_eq!((path.depth(), path.name()), (2, b"b".as_slice()));
        assert_eq!(
            (BucketPath::default().depth(), BucketPath::default().name()),
            (0, [].as_slice())
        );
    }
}
