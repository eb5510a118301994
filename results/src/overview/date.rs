//! Times as people write them.

/// The day of a moment in seconds since 1970, in UTC: `2026-11-22` (Hinnant, *chrono-compatible
/// low-level date algorithms*, `civil_from_days`).
pub(super) fn day(seconds: u64) -> String {
    let z = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March on.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// A moment in seconds since 1970, in UTC: `2026-11-22T09:05:00Z` (ISO 8601).
#[must_use]
pub fn moment(seconds: u64) -> String {
    let of_day = seconds % 86_400;
    let (hours, minutes) = (of_day / 3_600, of_day / 60 % 60);
    format!(
        "{}T{hours:02}:{minutes:02}:{:02}Z",
        day(seconds),
        of_day % 60
    )
}

/// A time that something took: `45 s`, `12 min`, `3 h 05 min`.
pub(super) fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    match minutes {
        0 | 1 => format!("{seconds:.0} s"),
        2..60 => format!("{minutes} min"),
        _ => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_durations() {
        // `date -u -d @N +%F`
        let cases = [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_763_856_000, "2025-11-23"),
            (1_709_251_199, "2024-02-29"),
            (4_102_444_800, "2100-01-01"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(day(seconds), expected);
        }
        // `date -u -d @N +%FT%TZ`
        assert_eq!(moment(1_709_251_199), "2024-02-29T23:59:59Z");
        assert_eq!(moment(1_763_888_709), "2025-11-23T09:05:09Z");
        assert_eq!(
            [7.4, 89.0, 91.0, 3_599.0, 11_100.0].map(duration),
            ["7 s", "89 s", "2 min", "1 h 00 min", "3 h 05 min"]
        );
    }
}
