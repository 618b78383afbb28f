use super::*;

#[test]
fn a_decoders_english_stays_out_of_the_chinese() {
    let words = || "Invalid size".to_owned();
    let format = ImageFormat::Tiff;
    let kinds = [
        UnsupportedKind::Palette,
        UnsupportedKind::Colours {
            name: "Lab(8)".to_owned(),
        },
        UnsupportedKind::Other { words: words() },
    ];
    let kinds = kinds.map(|kind| CaptureError::UnsupportedKind { format, kind });
    let damage = [
        Damage::NoPicture,
        Damage::Part { words: words() },
        Damage::Data { words: words() },
    ];
    let damage = damage.map(|damage| CaptureError::Damaged { format, damage });
    let stopped = CaptureError::DecoderStopped { format };
    for error in kinds.iter().chain(&damage).chain([&stopped]) {
        let names = ["TIFF", "PNG", "JPEG", "RGB", "YCbCr", "CMYK"];
        let rest = names
            .iter()
            .fold(error.chinese(), |text, name| text.replace(name, ""));
        assert!(!rest.contains(|c: char| c.is_ascii_alphabetic()), "{rest}");
    }
    assert!(kinds[1].to_string().contains("(Lab(8); expected grey, RGB"));
    assert!(damage[2].to_string().contains("damaged (Invalid size);"));
}

#[test]
fn faults_of_the_log_are_told_in_both_languages() {
    let fault = LogFault::TooSlow { seconds: 10 };
    let english = fault.to_string();
    let lost = ServiceFault::FeedbackLost { fault };
    assert_eq!(lost.to_string(), english);
    assert_eq!(lost.problem(), ProblemCode::NotReady);
    assert_eq!(
        lost.chinese(),
        "反馈未能写入日志：日志在 10 秒内没有写完：磁盘过慢。"
    );
    let unread = ServiceFault::LogUnreadable;
    assert_eq!(
        unread.to_string(),
        "the log cannot be read; see the daemon's text log"
    );
    assert_eq!(unread.problem(), ProblemCode::NotReady);
    assert_eq!(unread.chinese(), "无法读取日志；原因见服务的文本日志。");
}

#[test]
fn texts_have_the_numbers_and_the_way_out() {
    let large = CaptureError::TooManyPixels {
        width: 9000,
        height: 9000,
        limit: 50_000_000,
    };
    assert!(large.to_string().contains("(81.0 megapixels)"), "{large}");
    let chinese = large.chinese();
    assert!(
        chinese.contains("9000×9000 像素，上限为 5000 万像素"),
        "{chinese}"
    );
    let found = ForeignFormat::Heic;
    let heic = CaptureError::Unsupported { found };
    for text in [heic.to_string(), heic.chinese()] {
        assert!(
            text.contains("HEIC") && text.contains("heif-convert"),
            "{text}"
        );
        assert!(text.contains("TIFF"), "{text}");
    }
    let turned = NoFace::new(320, 240, true).chinese();
    assert!(
        turned.contains("320×240") && turned.contains("EXIF"),
        "{turned}"
    );
}
