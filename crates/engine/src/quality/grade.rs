//! Grades: the quality score as one word.

use serde::{Deserialize, Serialize};

/// Five words for the quality score, cut at .80 / .60 / .40 / .30.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// Below .30.
    Bad,
    /// From .30.
    Poor,
    /// From .40.
    Fair,
    /// From .60.
    Good,
    /// From .80.
    Excellent,
}

impl Grade {
    /// Every grade, from the worst to the best.
    pub const ALL: [Self; 5] = [
        Self::Bad,
        Self::Poor,
        Self::Fair,
        Self::Good,
        Self::Excellent,
    ];

    /// Name in JSON, in the log and in metrics.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// The least quality score that earns this grade.
    pub const fn from_which(self) -> f32 {
        self.row().1
    }

    /// The grade of a quality score; `Bad` for NaN.
    pub fn of(score: f32) -> Self {
        let mut falling = Self::ALL.into_iter().rev();
        let grade = falling.find(|grade| score >= grade.from_which());
        grade.unwrap_or(Self::Bad)
    }

    const fn row(self) -> (&'static str, f32) {
        match self {
            Self::Bad => ("bad", 0.0),
            Self::Poor => ("poor", 0.30),
            Self::Fair => ("fair", 0.40),
            Self::Good => ("good", 0.60),
            Self::Excellent => ("excellent", 0.80),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grades_cut_where_the_contract_says() {
        for (cut, above, below) in [
            (0.80_f32, Grade::Excellent, Grade::Good),
            (0.60, Grade::Good, Grade::Fair),
            (0.40, Grade::Fair, Grade::Poor),
            (0.30, Grade::Poor, Grade::Bad),
        ] {
            assert_eq!(Grade::of(cut), above);
            assert_eq!(Grade::of(cut.next_up()), above);
            assert_eq!(Grade::of(cut.next_down()), below);
        }
        assert_eq!(Grade::of(1.0), Grade::Excellent);
        assert_eq!(Grade::of(0.0), Grade::Bad);
        assert_eq!(Grade::of(-1.0), Grade::Bad);
        assert_eq!(Grade::of(f32::NAN), Grade::Bad);
    }

    #[test]
    fn the_designs_table_of_iso_steps_gets_its_words() {
        let grades = [0.89, 0.85, 0.73, 0.54, 0.37, 0.22].map(Grade::of);
        use Grade::{Bad, Excellent, Fair, Good, Poor};
        assert_eq!(grades, [Excellent, Excellent, Good, Fair, Poor, Bad]);
    }

    #[test]
    fn names_are_the_json_names() {
        for grade in Grade::ALL {
            assert_eq!(
                serde_json::to_value(grade).unwrap(),
                serde_json::json!(grade.name())
            );
        }
    }
}
