//! Times as Keystone writes them: `2026-11-23T01:02:03.000000Z`.

use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

const WRITTEN: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
const WITHOUT_ZONE: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second][optional [.[subsecond digits:1+]]]");

/// A time in microseconds since 1970 UTC as text. A time outside of what a calendar holds is
/// shown as the beginning of 1970.
pub(crate) fn format(micros: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000)
        .ok()
        .and_then(|time| time.format(WRITTEN).ok())
        .unwrap_or_else(|| "1970-01-01T00:00:00.000000Z".to_owned())
}

/// The microseconds since 1970 UTC that a text means. A text without a zone is in UTC, as
/// Keystone takes it.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| PrimitiveDateTime::parse(text, WITHOUT_ZONE).map(PrimitiveDateTime::assume_utc))
        .ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_six_digits_and_read_back() {
        let micros = 1_795_395_723_000_042;
        assert_eq!(format(micros), "2026-11-23T01:02:03.000042Z");
        assert_eq!(parse("2026-11-23T01:02:03.000042Z"), Some(micros));
    }

    #[test]
    fn a_time_without_zone_or_fraction_is_in_utc() {
        assert_eq!(parse("2026-11-23T01:02:03"), Some(1_795_395_723_000_000));
        assert_eq!(parse("2026-11-23T01:02:03.5"), Some(1_795_395_723_500_000));
        assert_eq!(parse("2026-11-23T02:02:03+01:00"), Some(1_795_395_723_000_000));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "tomorrow", "2026-13-01T00:00:00", "2026-11-23"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
