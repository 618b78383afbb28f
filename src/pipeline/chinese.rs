//! Failures in Chinese, for whoever stands before the page: what cannot be made of a picture, and a service that is busy or
//! going down. A fault of the caller's program stays in English, which is what its maker reads.

use super::error::AnalyzeError;
use super::pool::Unready;
use crate::capture::{CaptureError, ForeignFormat};
use crate::checkpoint::Interruption;
use crate::embed::EmbedError;
use crate::face::FaceError;
use crate::problem::ProblemCode;

/// What a failure of ours is told as.
const INTERNAL: &str = "分析在服务一侧失败；服务日志中有该请求编号对应的原因。";

pub(super) fn detail(error: &AnalyzeError) -> String {
    if error.problem() == ProblemCode::Internal {
        return INTERNAL.to_owned();
    }
    match error {
        AnalyzeError::Capture(error) => capture(error),
        AnalyzeError::Face(error) => face(error),
        AnalyzeError::Overloaded { capacity } => {
            format!("已有 {capacity} 张图片在等待，请稍后重试。")
        }
        AnalyzeError::Interrupted(why) => interrupted(*why),
        AnalyzeError::Embed(EmbedError::Interrupted(why)) => interrupted(*why),
        AnalyzeError::Embed(_) | AnalyzeError::Panicked { .. } | AnalyzeError::Broken { .. } => {
            INTERNAL.to_owned()
        }
    }
}

fn interrupted(why: Interruption) -> String {
    match why {
        Interruption::DeadlineExceeded { limit_ms } => format!(
            "未能在 {limit_ms} 毫秒内完成分析；请缩小图片、减少要分析的人脸，或在服务空闲时重试。"
        ),
        Interruption::CallerLeft => "调用方在答复之前关闭了连接。".to_owned(),
        Interruption::Stopping => "服务正在停止。".to_owned(),
    }
}

fn face(error: &FaceError) -> String {
    match error {
        FaceError::Interrupted(why) => interrupted(*why),
        FaceError::NoFace {
            width,
            height,
            is_turned,
        } => {
            let advice = if *is_turned {
                "将图片转正后可检测到人脸：请先转正，或保留其 EXIF 方向信息。"
            } else {
                "请使用光线充足、能看清整张脸（至少 42×56 像素）的图片。"
            };
            format!("在 {width}×{height} 像素的图片中未检测到人脸；{advice}")
        }
        _ => INTERNAL.to_owned(),
    }
}

pub(super) fn unready(error: &Unready) -> String {
    match error {
        Unready::QueueFull { capacity } => format!("已有 {capacity} 张图片在等待，队列已满。"),
        Unready::Failing(_) => "自检失败：内置人脸未能走完整个流程；服务日志中有原因。".to_owned(),
        Unready::Stopping => "服务正在停止。".to_owned(),
    }
}

fn capture(error: &CaptureError) -> String {
    match error {
        CaptureError::Empty => "图片为空（0 字节）；请检查文件是否完好。".to_owned(),
        CaptureError::TooManyBytes { bytes, limit } => {
            format!("图片有 {bytes} 字节，上限为 {limit}；请缩小图片，或以较低质量另存为 JPEG。")
        }
        CaptureError::TooManyPixels {
            width,
            height,
            limit,
        } => format!(
            "图片为 {width}×{height} 像素，上限为 {} 万像素；请先缩小。",
            limit / 10_000
        ),
        CaptureError::TooLong {
            width,
            height,
            limit,
        } => format!("图片为 {width}×{height} 像素，每边最多 {limit} 像素；请先缩小或裁剪。"),
        CaptureError::TooNarrow {
            width,
            height,
            limit,
        } => format!("图片为 {width}×{height} 像素，长边不得超过短边的 {limit} 倍；请先裁剪。"),
        CaptureError::TooMuchMemory { needed, limit } => format!(
            "解码该图片需要 {} MB 内存，上限为 {} MB；请缩小图片，或另存为 JPEG 或每通道 8 位的图片。",
            needed.div_ceil(1_000_000),
            limit / 1_000_000
        ),
        CaptureError::NoMemory { .. } | CaptureError::OutOfMemory => {
            "同时处理的图片占用内存过多，请稍后重试。".to_owned()
        }
        CaptureError::ZeroSize {
            format,
            width,
            height,
        } => format!(
            "{} 文件标明的尺寸是 {width}×{height} 像素，宽和高都至少应为 1。",
            format.name()
        ),
        CaptureError::Unsupported { found } => format!(
            "这是{}；支持 JPEG、PNG、WebP、BMP 和 TIFF。{}",
            foreign(*found),
            advice(*found)
        ),
        CaptureError::UnsupportedKind {
            format,
            kind,
            expected,
        } => format!(
            "不支持这种 {}（{kind}；应为 {expected}）；请转换为普通的 PNG 或 JPEG。",
            format.name()
        ),
        CaptureError::Truncated { format } => format!(
            "{} 文件不完整：写入或发送时被截断；请重新发送。",
            format.name()
        ),
        CaptureError::TooManyScans { scans, limit } => {
            format!("该 JPEG 有 {scans} 次扫描，这一尺寸的上限为 {limit}；请另存为基线 JPEG。")
        }
        CaptureError::Damaged { format, what } => {
            format!("{} 文件已损坏（{what}）；请重新导出或发送。", format.name())
        }
        CaptureError::OutsidePicture { .. } => INTERNAL.to_owned(),
    }
}

const fn foreign(found: ForeignFormat) -> &'static str {
    match found {
        ForeignFormat::Heic => " HEIC 文件",
        ForeignFormat::Avif => " AVIF 文件",
        ForeignFormat::Gif => " GIF 文件",
        ForeignFormat::Pdf => " PDF 文件",
        ForeignFormat::Svg => " SVG 文件",
        ForeignFormat::JpegXl => " JPEG XL 文件",
        ForeignFormat::Jpeg2000 => " JPEG 2000 文件",
        ForeignFormat::Video => "视频",
        ForeignFormat::Markup => "文本",
        ForeignFormat::Unknown => "无法识别的文件",
    }
}

const fn advice(found: ForeignFormat) -> &'static str {
    match found {
        ForeignFormat::Heic => {
            "请先转换为 JPEG，例如 `heif-convert in.heic out.jpg`；iPhone 可在“设置、相机、格式”中选择“兼容性最佳”，直接拍摄 JPEG。"
        }
        ForeignFormat::Avif => "请先转换，例如 `avifdec in.avif out.png`。",
        ForeignFormat::Gif => "请转换其第一帧，例如 `magick 'in.gif[0]' out.png`。",
        ForeignFormat::Pdf => "请先将页面转为图片，例如 `pdftoppm -jpeg -r 200 in.pdf out`。",
        ForeignFormat::Svg => "请发送照片：矢量图中没有可测量的人脸。",
        ForeignFormat::JpegXl => "请先转换，例如 `djxl in.jxl out.jpg`。",
        ForeignFormat::Jpeg2000 => "请先转换，例如 `magick in.jp2 out.jpg`。",
        ForeignFormat::Video => "请从中取出一帧，例如 `ffmpeg -i in.mp4 -frames:v 1 out.png`。",
        ForeignFormat::Markup => "看起来是保存的网页：请检查下载或发送的是否确实是图片。",
        ForeignFormat::Unknown => "请检查发送的是否是图片本身，而不是路径或文字。",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_has_the_numbers_and_the_way_out() {
        let small = AnalyzeError::Face(FaceError::NoFace {
            width: 320,
            height: 240,
            is_turned: false,
        });
        assert!(detail(&small).contains("320×240"));
        let large = AnalyzeError::Capture(CaptureError::TooManyPixels {
            width: 9000,
            height: 9000,
            limit: 50_000_000,
        });
        assert!(detail(&large).contains("9000×9000 像素，上限为 5000 万像素"));
        let heic = AnalyzeError::Capture(CaptureError::Unsupported {
            found: ForeignFormat::Heic,
        });
        let said = detail(&heic);
        assert!(
            said.contains("HEIC") && said.contains("heif-convert"),
            "{said}"
        );
        let ours = AnalyzeError::Panicked {
            message: "secret".into(),
        };
        assert_eq!(detail(&ours), INTERNAL);
    }
}
