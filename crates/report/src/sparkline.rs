//! Values as a row of block characters.

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The block that fills `eighths` of a line, but no less than one of them and no more than eight.
fn block(eighths: usize) -> char {
    BLOCKS[eighths.clamp(1, 8) - 1]
}

/// One block for each count; the largest count fills the line. A count of 0 is shown as `none`.
/// Heights are rounded up, so that a single event is seen.
pub fn counts(counts: &[u64], none: char) -> String {
    let most = counts.iter().copied().max().unwrap_or(0);
    let shown = counts.iter().map(|&count| match count {
        0 => none,
        count => block((count * 8).div_ceil(most) as usize),
    });
    shown.collect()
}

/// One block for each value, from `low` (the lowest block) to `high` (the full one), and a blank
/// where there is none.
pub fn values(values: &[Option<f32>], low: f32, high: f32) -> String {
    let shown = values.iter().map(|value| match value {
        None => ' ',
        Some(value) => {
            let share = ((value - low) / (high - low)).clamp(0.0, 1.0);
            block(1 + (share * 7.0).round() as usize)
        }
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_count_is_full_and_a_single_one_is_seen() {
        assert_eq!(counts(&[0, 1, 8, 16], ' '), " ▁▄█");
        assert_eq!(counts(&[0, 0], '·'), "··");
        assert_eq!(counts(&[], '·'), "");
    }

    #[test]
    fn values_are_clipped_to_the_range_and_gaps_stay() {
        let given = [Some(0.0), None, Some(0.5), Some(1.0), Some(7.0)];
        assert_eq!(values(&given, 0.0, 1.0), "▁ ▅██");
    }
}
