//! Wire shapes of the REST interface. Those of an answer stand in [`crate::pipeline::view`], since the operator's command
//! shows them too.

mod info;

pub use self::info::{
    CandidateDto, ChosenByDto, InfoAnswer, LimitsDto, PackDto, PolicyDto, PrivacyDto, ProviderDto,
};
pub use crate::pipeline::view::{
    CompareAnswer, ComparedSide, ExtractAnswer, FaceDto, GivenQuality, GivenSide, HintDto,
    SideHint, ThresholdsDto,
};
