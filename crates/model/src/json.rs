//! The shape of JSON before it is read: how deep it is and how much there is of it.

/// Arrays and objects within each other.
pub const DEPTH: usize = 32;

/// Values in one document, those of objects and arrays with them.
pub const VALUES: usize = 50_000;

/// Refuses what is deeper or more than any request has. What is no JSON is for the parser to refuse.
///
/// # Errors
/// A sentence that says which.
pub fn check(text: &[u8]) -> Result<(), String> {
    let (mut depth, mut values) = (0_usize, 1_usize);
    let (mut in_text, mut is_escaped) = (false, false);
    for octet in text {
        if in_text {
            in_text = is_escaped || *octet != b'"';
            is_escaped = !is_escaped && *octet == b'\\';
            continue;
        }
        match octet {
            b'"' => in_text = true,
            b'[' | b'{' => {
                depth += 1;
                values += 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            _ => {}
        }
        if depth > DEPTH {
            return Err(format!("The body has more than {DEPTH} arrays and objects within each other"));
        }
        if values > VALUES {
            return Err(format!("The body has more than {VALUES} values"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_deep_or_too_much_is_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(check(nested(DEPTH).as_bytes()), Ok(()));
        assert!(check(nested(DEPTH + 1).as_bytes()).is_err_and(|why| why.contains("32 arrays")));
        let long = |count: usize| format!("[{}]", vec!["0"; count].join(","));
        assert_eq!(check(long(VALUES - 1).as_bytes()), Ok(()));
        assert!(check(long(VALUES + 1).as_bytes()).is_err_and(|why| why.contains("50000 values")));
        assert!(check("[[],".repeat(VALUES).as_bytes()).is_err());
    }

    #[test]
    fn what_stands_in_texts_counts_nothing() {
        let text =
            serde_json::Value::from(format!("{}\\\"{}", "[".repeat(100), ",".repeat(60_000))).to_string();
        assert_eq!(check(text.as_bytes()), Ok(()));
        assert_eq!(check(format!("[{text},{text}]").as_bytes()), Ok(()));
    }
}
