//! What callers are told: a row for each failure, with its values, code, and both texts.
//!
//! A row without either text does not compile. The English one is the failure's `Display` and
//! documentation. No text holds a path; a decoder's own words stand in the English only.

use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use super::{Explain, ProblemCode};
use crate::image_format::ImageFormat;

/// Makes an enum of each family of rows: `Variant { value: Type } where name = expression => Code,
/// "English", "Chinese";`. Both texts may name the values and what `where` makes of them.
macro_rules! failures {
    ($(
        $(#[$family_meta:meta])*
        $family:ident {$(
            $variant:ident
            $({ $($value:ident: $type:ty),+ })?
            $(where $($local:pat = $expression:expr),+)?
            => $code:ident, $english:literal, $chinese:literal;
        )+}
    )+) => {$(
        $(#[$family_meta])*
        #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
        pub enum $family {$(
            #[doc = $english]
            $variant $({ $(#[allow(missing_docs)] $value: $type),+ })?,
        )+}

        impl fmt::Display for $family {
            #[allow(unused_variables, reason = "a value may stand in the Chinese text only")]
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {$(
                    Self::$variant $({ $($value),+ })? => {
                        $($(let $local = $expression;)+)?
                        write!(f, $english)
                    }
                )+}
            }
        }

        impl Explain for $family {
            fn problem(&self) -> ProblemCode {
                match self {$( Self::$variant { .. } => ProblemCode::$code, )+}
            }

            #[allow(unused_variables, reason = "a value may stand in the English text only")]
            fn chinese(&self) -> String {
                match self {$(
                    Self::$variant $({ $($value),+ })? => {
                        $($(let $local = $expression;)+)?
                        format!($chinese)
                    }
                )+}
            }
        }
    )+};
}

const SUPPORTED: &str = "JPEG, PNG, WebP, BMP and TIFF are supported";
const SUPPORTED_ZH: &str = "支持 JPEG、PNG、WebP、BMP 和 TIFF";

failures! {
    /// Why an upload gives no picture.
    #[derive(serde::Serialize, serde::Deserialize)]
    CaptureError {
        Empty => UndecodableImage,
            "the picture is empty (0 bytes); check that the file was read before it was sent",
            "图片为空（0 字节）；请检查文件是否完好。";
        TooManyBytes { bytes: usize, limit: usize } => ImageTooLarge,
            "the picture has {bytes} bytes, the limit is {limit}; send it smaller or as a JPEG of lower quality",
            "图片大小为 {bytes} 字节，上限为 {limit}；请缩小图片，或以较低质量另存为 JPEG。";
        TooManyPixels { width: u32, height: u32, limit: u64 }
            where pixels = f64::from(*width) * f64::from(*height) / 1e6, most = *limit as f64 / 1e6, zh = limit / 10_000
            => ImageTooLarge,
            "the picture is {width}×{height} ({pixels:.1} megapixels), the limit is {most:.1} megapixels; scale it down first",
            "图片为 {width}×{height} 像素，上限为 {zh} 万像素；请先缩小。";
        TooLong { width: u32, height: u32, limit: u32 } => ImageTooLarge,
            "the picture is {width}×{height}, the limit is {limit} pixels a side; scale it down or cut it first",
            "图片为 {width}×{height} 像素，每边最多 {limit} 像素；请先缩小或裁剪。";
        TooNarrow { width: u32, height: u32, limit: u32 } => ImageTooLarge,
            "the picture is {width}×{height}; its longer side may be {limit} times the shorter one: cut it first",
            "图片为 {width}×{height} 像素，长边不得超过短边的 {limit} 倍；请先裁剪。";
        TooMuchMemory { needed: u64, limit: u64 }
            where needed = needed.div_ceil(1_000_000), limit = limit / 1_000_000 => ImageTooLarge,
            "decoding the picture takes {needed} MB, the limit is {limit} MB; scale it down, or save it as a JPEG or with 8 bits \
             per sample",
            "解码该图片需要 {needed} MB 内存，上限为 {limit} MB；请缩小图片，或另存为 JPEG 或每通道 8 位的图片。";
        NoMemory { needed: u64, limit: u64 }
            where needed = needed.div_ceil(1_000_000), limit = limit / 1_000_000 => Overloaded,
            "decoding the picture takes {needed} MB, and other pictures hold too much of the {limit} MB kept for all; try again \
             in a moment",
            "同时处理的图片占用内存过多，请稍后重试。";
        OutOfMemory => Overloaded,
            "the system has no memory left for the picture; try again in a moment",
            "系统内存不足，无法处理该图片，请稍后重试。";
        ZeroSize { format: ImageFormat, width: u32, height: u32 } => UndecodableImage,
            "the {format} says that it is {width}×{height} pixels; both must be at least 1",
            "{format} 文件标明的尺寸是 {width}×{height} 像素，宽和高都至少应为 1。";
        Unsupported { found: ForeignFormat } where zh = found.chinese() => UnsupportedMediaType,
            "this is {found}",
            "这是{zh}";
        UnsupportedKind { format: ImageFormat, kind: UnsupportedKind }
            where (expected, expected_zh) = expected(*format), zh = kind.chinese()
            => UnsupportedMediaType,
            "this kind of {format} is not supported ({kind}; expected {expected}); convert it to a plain PNG or JPEG",
            "不支持这种 {format}（{zh}；应为{expected_zh}）；请转换为普通的 PNG 或 JPEG。";
        DecoderStopped { format: ImageFormat } => UnsupportedMediaType,
            "this kind of {format} is not supported (the decoder stopped at something in it that it does not handle; expected a \
             file as common programs write it); convert it to a plain PNG or JPEG",
            "不支持这种 {format}（解码器遇到无法处理的内容；应为常用软件写出的文件）；请转换为普通的 PNG 或 JPEG。";
        Truncated { format: ImageFormat } => UndecodableImage,
            "the {format} file ends early: it was cut off while it was written or sent; send it again",
            "{format} 文件不完整：写入或发送时被截断；请重新发送。";
        TooManyScans { scans: usize, limit: usize } => UndecodableImage,
            "the JPEG has {scans} scans, the limit for its size is {limit}; save it again as a baseline JPEG",
            "该 JPEG 有 {scans} 次扫描，这一尺寸的上限为 {limit}；请另存为基线 JPEG。";
        Damaged { format: ImageFormat, damage: Damage } where zh = damage.chinese() => UndecodableImage,
            "the {format} is damaged ({damage}); export or send it again",
            "{format} 文件已损坏（{zh}）；请重新导出或发送。";
        OutsidePicture { width: u32, height: u32 } => Internal,
            "no part of the area asked for lies in the picture of {width}×{height} pixels",
            "要截取的区域不在 {width}×{height} 像素的图片之内。";
    }

    /// A kind of file that is recognised only to tell the caller how to convert it.
    #[derive(Copy, serde::Serialize, serde::Deserialize)]
    ForeignFormat {
        Heic => UnsupportedMediaType,
            "HEIC; {SUPPORTED}: convert it to JPEG first, for example with `heif-convert in.heic out.jpg` or \
             `magick in.heic out.jpg`; an iPhone takes JPEG under Settings, Camera, Formats, Most Compatible",
            " HEIC 文件；{SUPPORTED_ZH}。请先转换为 JPEG，例如 `heif-convert in.heic out.jpg`；iPhone 可在“设置、相机、格式”中选择\
             “兼容性最佳”，直接拍摄 JPEG。";
        Avif => UnsupportedMediaType,
            "AVIF; {SUPPORTED}: convert it first, for example with `avifdec in.avif out.png`",
            " AVIF 文件；{SUPPORTED_ZH}。请先转换，例如 `avifdec in.avif out.png`。";
        Gif => UnsupportedMediaType,
            "GIF; {SUPPORTED}: convert its first frame, for example with `magick 'in.gif[0]' out.png`",
            " GIF 文件；{SUPPORTED_ZH}。请转换其第一帧，例如 `magick 'in.gif[0]' out.png`。";
        Pdf => UnsupportedMediaType,
            "PDF; {SUPPORTED}: render the page first, for example with `pdftoppm -jpeg -r 200 in.pdf out`",
            " PDF 文件；{SUPPORTED_ZH}。请先将页面转为图片，例如 `pdftoppm -jpeg -r 200 in.pdf out`。";
        Svg => UnsupportedMediaType,
            "SVG; {SUPPORTED}: send a photo; a drawing holds no face that could be measured",
            " SVG 文件；{SUPPORTED_ZH}。请发送照片：矢量图中没有可测量的人脸。";
        JpegXl => UnsupportedMediaType,
            "JPEG XL; {SUPPORTED}: convert it first, for example with `djxl in.jxl out.jpg`",
            " JPEG XL 文件；{SUPPORTED_ZH}。请先转换，例如 `djxl in.jxl out.jpg`。";
        Jpeg2000 => UnsupportedMediaType,
            "JPEG 2000; {SUPPORTED}: convert it first, for example with `magick in.jp2 out.jpg`",
            " JPEG 2000 文件；{SUPPORTED_ZH}。请先转换，例如 `magick in.jp2 out.jpg`。";
        Video => UnsupportedMediaType,
            "video; {SUPPORTED}: take one frame out of it, for example with `ffmpeg -i in.mp4 -frames:v 1 out.png`",
            "视频；{SUPPORTED_ZH}。请从中取出一帧，例如 `ffmpeg -i in.mp4 -frames:v 1 out.png`。";
        Markup => UnsupportedMediaType,
            "text; {SUPPORTED}: this looks like a saved web page: check what was downloaded or sent in place of the picture",
            "文本；{SUPPORTED_ZH}。看起来是保存的网页：请检查下载或发送的是否确实是图片。";
        Unknown => UnsupportedMediaType,
            "an unknown kind of file; {SUPPORTED}: check that the picture's own bytes were sent, not a path or a text",
            "无法识别的文件；{SUPPORTED_ZH}。请检查发送的是否是图片本身，而不是路径或文字。";
    }

    /// What is not supported in a picture of a supported format.
    #[derive(serde::Serialize, serde::Deserialize)]
    UnsupportedKind {
        JpegLs => UnsupportedMediaType, "JPEG-LS", "JPEG-LS";
        Hierarchical => UnsupportedMediaType, "hierarchical coding", "分层编码";
        LosslessArithmetic => UnsupportedMediaType, "lossless arithmetic coding", "无损算术编码";
        Lossless { bits: u8 } => UnsupportedMediaType, "lossless, {bits} bits per sample", "无损，每通道 {bits} 位";
        Bits { bits: u8 } => UnsupportedMediaType, "{bits} bits per sample", "每通道 {bits} 位";
        Attachment { limit: usize } => UnsupportedMediaType,
            "a chunk beside the pixels takes more than {limit} bytes", "像素之外的数据块超过 {limit} 字节";
        Palette => UnsupportedMediaType, "palette colours", "使用调色板";
        ReverseBits => UnsupportedMediaType, "bits in reverse order, FillOrder 2", "位序相反，FillOrder 为 2";
        Samples { bits: u8, format: u16 } => UnsupportedMediaType,
            "{bits} bits per sample, sample format {format}", "每通道 {bits} 位，SampleFormat 为 {format}";
        Colours { name: String } => UnsupportedMediaType, "{name}", "颜色空间或通道数不符";
        Parts { parts: usize, limit: usize } => UnsupportedMediaType,
            "{parts} strips or tiles, at most {limit} are read", "有 {parts} 个条带或图块，上限为 {limit} 个";
        LargeParts { parts: usize, width: u32, height: u32, bytes: u64 } => UnsupportedMediaType,
            "its {parts} strips or tiles of {width}×{height} pixels hold {bytes} bytes, more than the largest picture",
            "{parts} 个 {width}×{height} 像素的条带或图块共 {bytes} 字节，超过单张图片的上限";
        Scans => UnsupportedMediaType,
            "the JPEGs in it have more scans than can be decoded in time", "其中的 JPEG 扫描次数过多，无法及时解码";
        LargeNumber => UnsupportedMediaType, "a number in it is larger than this reader takes", "其中有数值超出可读取的范围";
        Other { words: String } => UnsupportedMediaType, "{words}", "编码方式少见";
    }

    /// What is broken in a picture.
    #[derive(serde::Serialize, serde::Deserialize)]
    Damage {
        ShortFrameHeader => UndecodableImage, "its frame header is too short", "帧头过短";
        NoFrameHeader => UndecodableImage, "it has no frame header", "没有帧头";
        TwoFrameHeaders => UndecodableImage,
            "it has two frame headers of different sizes", "两个帧头标明的尺寸不同";
        TwoSizes => UndecodableImage, "it has two sizes", "标明的尺寸前后不一";
        SizeUnlikeHeader => UndecodableImage, "its size does not match its header", "实际尺寸与文件头不符";
        SizeUnlikePixels => UndecodableImage, "its size does not match its pixels", "尺寸与像素数不符";
        BrokenHeader => UndecodableImage, "its header is broken", "文件头有误";
        LargerThanCanvas => UndecodableImage, "the picture in it is larger than its canvas", "其中的图像超出画布";
        NoPicture => UndecodableImage, "it holds no picture", "其中没有图像";
        SharedBytes => UndecodableImage, "its strips or tiles share bytes", "条带或图块的数据互相重叠";
        Part { words: String } => UndecodableImage, "{words}", "条带或图块与文件头不符";
        Data { words: String } => UndecodableImage, "{words}", "数据有误，无法解码";
    }

    /// A picture in which no face was found.
    #[derive(Copy)]
    NoFace {
        InPicture { width: u32, height: u32 } => NoFace,
            "no face found in {width}×{height} px; show one whole face, larger and with light on it",
            "在 {width}×{height} 像素的图片中未检测到人脸；请使用光线充足、人脸更大且能看清整张脸的图片。";
        UnlessTurned { width: u32, height: u32 } => NoFace,
            "no face found in {width}×{height} px; there is one when the picture is turned: turn it upright, or keep its EXIF \
             orientation",
            "在 {width}×{height} 像素的图片中未检测到人脸；将图片转正后可检测到人脸：请先转正，或保留其 EXIF 方向信息。";
    }

    /// Why work was not begun, or was given up half way.
    #[derive(Copy)]
    Interruption {
        Overloaded { capacity: usize } => Overloaded,
            "{capacity} pictures are waiting already; try again in a moment",
            "已有 {capacity} 张图片在排队，请稍后重试。";
        DeadlineExceeded { limit_ms: u64 } => DeadlineExceeded,
            "the answer was not ready within {limit_ms} ms; send a smaller picture, ask for fewer faces, or try again when the \
             service is less busy",
            "未能在 {limit_ms} 毫秒内完成分析；请缩小图片、减少要分析的人脸，或在服务空闲时重试。";
        // Or its side of it, which looks the same: nobody would read the answer.
        CallerLeft => CallerLeft,
            "the caller closed the connection, or its own side of it, before the answer was ready",
            "调用方在收到应答之前关闭了连接。";
        Stopping => NotReady, "the service is stopping", "服务正在停止。";
    }

    /// Why the service gives no answer, whatever is asked.
    ServiceFault {
        // Of faults of ours the log has the reason.
        Analysis => Internal,
            "The analysis failed on our side; the service's log has the reason under this request id.",
            "服务器内部错误，请凭请求编号查阅服务日志。";
        QueueFull { capacity: usize } => NotReady,
            "{capacity} pictures are waiting, which is as many as may wait",
            "已有 {capacity} 张图片在排队，队列已满。";
        SelfCheck { reason: String } => NotReady,
            "{reason}", "自检失败：内置测试人脸试运行失败；原因见服务日志。";
        Stopping => NotReady, "the service is stopping", "服务正在停止。";
        LogFailing { since: String, fault: LogFault } where zh = fault.chinese() => NotReady,
            "the log cannot be written since {since}: {fault}",
            "自 {since} 起日志无法写入：{zh}。";
        Unrecorded { fault: LogFault } where zh = fault.chinese() => NotReady,
            "without its row in the log no answer may be given, and {fault}",
            "未能写入日志，因此不能返回结果：{zh}。";
        FeedbackLost { fault: LogFault } where zh = fault.chinese() => NotReady,
            "{fault}", "反馈未能写入日志：{zh}。";
        LogUnreadable => NotReady,
            "the log cannot be read; see the daemon's text log",
            "无法读取日志；原因见服务的文本日志。";
    }

    /// What is wrong with the log, without what only the operator may know.
    LogFault {
        Database { trouble: Trouble } where zh = trouble.chinese() => NotReady,
            "the log cannot be used: {trouble}", "日志无法使用：{zh}";
        File { action: &'static str, kind: ErrorKind } => NotReady,
            "the log cannot be used: cannot {action} a file: {kind}", "日志无法使用：文件无法读写";
        TooSlow { seconds: u64 } => NotReady,
            "the log did not confirm the row within {seconds} s: the disk hardly answers",
            "日志在 {seconds} 秒内没有写完：磁盘过慢";
        Replaced => NotReady,
            "the log's file is deleted or replaced again and again", "日志文件在使用中被反复删除或替换";
        Closed => NotReady, "the log is closed: the service is stopping", "日志已关闭：服务正在停止";
        BadCursor { cursor: String } => InvalidParameter,
            "{cursor:?} is no cursor: pass `next_cursor` of the page before, unchanged",
            "{cursor:?} 不是有效的游标：请原样传回上一页的 `next_cursor`";
        BadColumn { column: &'static str } => Internal,
            "a row of the log is damaged in column {column}", "日志无法使用：某一行的 {column} 列已损坏";
        NetworkFilesystem { kind: String } => NotReady,
            "the log is on a network file system ({kind})", "日志无法使用：日志位于网络文件系统（{kind}）";
        LockedByAnother => NotReady, "the log is in use by another process", "日志无法使用：日志正被另一个进程使用";
        NewerSchema => NotReady, "the log was written by a newer release", "日志无法使用：日志由较新的版本写入";
        OlderSchema => NotReady, "the log was written by an older release", "日志无法使用：日志由较旧的版本写入";
        Foreign => NotReady, "the log's file belongs to another program", "日志无法使用：日志文件属于其他程序";
        Missing => NotReady, "there is no log", "日志无法使用：没有日志";
        Migrate => NotReady, "the log's schema cannot be brought up to date", "日志无法使用：日志的表结构无法升级";
        NoWriteAheadLog => NotReady, "the log's disk offers no write-ahead log", "日志无法使用：磁盘不支持预写日志";
        Exists => Internal, "the file exists", "日志无法使用：文件已存在";
    }

    /// Why a caller may not ask.
    AccessFault {
        NoToken => Unauthenticated,
            "a token is needed here, as `Authorization: Bearer fod_…` or `X-API-Key: fod_…`; `faceood-admin token add` makes one",
            "此地址需要令牌：请用 `Authorization: Bearer fod_…` 或 `X-API-Key: fod_…` 发送；管理员可用 `faceood-admin token add` 生成令牌。";
        WrongToken => Unauthenticated,
            "the token is not known to this box; check that it is complete and for this box, or ask for a new one",
            "本机没有这个令牌；请检查令牌是否完整、是否属于本机，或申请新的令牌。";
        Expired { name: String } => Unauthenticated,
            "the token `{name}` has expired; ask the administrator of the box for a new one",
            "令牌 `{name}` 已过期；请向管理员申请新的令牌。";
        Revoked { name: String } => Unauthenticated,
            "the token `{name}` was revoked; ask the administrator of the box for a new one",
            "令牌 `{name}` 已被吊销；请向管理员申请新的令牌。";
        Certificate { name: String } => Unauthenticated,
            "the client certificate is for `{name}`; add a token of that name with `faceood-admin token add {name}`",
            "客户端证书的名称是 `{name}`，而本机没有同名令牌；请用 `faceood-admin token add {name}` 添加。";
        Blocked { seconds: u64 } => RateLimited,
            "this address has sent too many wrong tokens; it is heard again in {seconds} s",
            "此地址发送错误令牌的次数过多；请在 {seconds} 秒后重试。";
        Role { name: String, role: &'static str, endpoint: String } => Forbidden,
            "the token `{name}` has the role `{role}`, which may not use {endpoint}; use a token of another role",
            "令牌 `{name}` 的角色是 `{role}`，不能使用 {endpoint}；请换用其他角色的令牌。";
        Page { name: String, role: &'static str } => Forbidden,
            "the token `{name}` has the role `{role}`; the page is for the roles operator and admin",
            "令牌 `{name}` 的角色是 `{role}`；只有 operator 和 admin 角色可以登录页面。";
        Source { name: String, asked: String, allowed: String } => Forbidden,
            "the token `{name}` may not ask for the source `{asked}`; it is bound to {allowed}, and need not send one",
            "令牌 `{name}` 不能使用来源 `{asked}`；它只能使用 {allowed}，也可以不发送来源。";
        SocketOnly => Forbidden,
            "tokens are managed on the box alone: over its Unix socket (server.socket), or by `faceood-admin token`",
            "令牌只能在本机管理：请通过 Unix 套接字（server.socket）调用，或使用 `faceood-admin token`。";
        Host { host: String } => Forbidden,
            "`{host}` is not a name of this box; call it by its address, or add the name to server.hosts in its settings",
            "`{host}` 不是本机的名称；请用 IP 地址访问，或把该名称加入设置 server.hosts。";
        CrossSite => Forbidden,
            "a web page of another site has sent this request, and that site is not in server.origins in the settings of the box",
            "此请求来自其他网站的页面，而该网站不在本机设置 server.origins 中。";
        OverLimit { setting: &'static str, seconds: u64 } => RateLimited,
            "this caller asks for more than its share ({setting}); try again in {seconds} s",
            "请求超过了该调用方的限额（{setting}）；请在 {seconds} 秒后重试。";
    }

    /// Why the database refuses, as far as an operator can do something about it.
    #[derive(Copy)]
    Trouble {
        Full => NotReady,
            "the disk is full, or the log's size limit of the file system is reached; free some space",
            "磁盘已满或达到文件系统的大小上限，请腾出空间";
        Descriptors => NotReady,
            "no file can be opened, because too many are open; find out what holds them (ls /proc/PID/fd), or raise \
             LimitNOFILE= of the service",
            "打开的文件过多，无法再打开文件；请查明占用者，或提高服务的 LimitNOFILE=";
        ReadOnly => NotReady,
            "the file or its folder cannot be written; check its owner and permissions, and that the disk is not mounted \
             read-only",
            "文件或其目录无法写入，请检查属主、权限，以及磁盘是否以只读方式挂载";
        Busy => NotReady, "another process keeps the database locked; end it", "数据库被另一个进程锁定，请结束该进程";
        Corrupt => NotReady, "the file is damaged", "文件已损坏";
        Disk => NotReady, "the disk reports an error; check the system log", "磁盘报告错误，请查看系统日志";
        Row => NotReady, "the row is refused", "该行被拒绝";
        Other => NotReady, "the database fails", "数据库出错";
    }

    /// Why a body, or a part of one, could not be read.
    BodyFault {
        TooLarge { limit: usize } => ImageTooLarge,
            "the body has more than {limit} bytes; the limit is {limit}",
            "请求超过 {limit} 字节的上限；请缩小图片。";
        Announced { size: usize, limit: usize, pictures: usize }
            where each = if *pictures > 1 { " each" } else { "" } => ImageTooLarge,
            "the body has {size} bytes; a picture may have {limit}{each}; make it smaller, or save it as a JPEG of lower quality",
            "请求大小为 {size} 字节，每张图片不得超过 {limit} 字节；请缩小图片。";
        PartTooLarge { part: String, limit: usize } => ImageTooLarge,
            "the part `{part}` has more than {limit} bytes, which is the limit",
            "图片超过 {limit} 字节的上限；请缩小图片。";
        EmptyPart { part: String } => MalformedRequest,
            "the part `{part}` is empty; a picture is expected",
            "图片为空（0 字节）。";
        Stalled { received: usize, idle: Duration } where seconds = idle.as_secs_f32() => MalformedRequest,
            "the body stopped after {received} bytes: nothing came for {seconds} s; send it again",
            "上传中断：{seconds} 秒内没有收到数据；请重新发送。";
        TooSlow { received: usize, total: Duration } where seconds = total.as_secs_f32() => MalformedRequest,
            "after {seconds} s only {received} bytes of the body had arrived; send a smaller picture or use a faster line",
            "上传过慢：{seconds} 秒内只收到 {received} 字节；请缩小图片，或改善网络。";
        NoMemory { limit: usize } => Overloaded,
            "uploads in flight take all of the {limit} bytes that are kept for them; try again",
            "同时上传的图片过多，请稍后重试。";
        Broken { received: usize } => MalformedRequest,
            "the body is broken off after {received} bytes",
            "图片没有传完，连接就中断了；请重新发送。";
        OverLimit { fault: AccessFault } where zh = fault.chinese() => RateLimited, "{fault}", "{zh}";
    }
}

impl NoFace {
    /// No face in a picture of this size; `is_turned` where one shows when the picture is turned,
    /// as far as was looked.
    pub const fn new(width: u32, height: u32, is_turned: bool) -> Self {
        if is_turned {
            Self::UnlessTurned { width, height }
        } else {
            Self::InPicture { width, height }
        }
    }
}

/// What would do in place of a kind of `format` that is not supported, in English and in Chinese.
const fn expected(format: ImageFormat) -> (&'static str, &'static str) {
    match format {
        ImageFormat::Jpeg => (
            "a baseline or progressive JPEG of 8 bits per sample",
            "每通道 8 位的基线或渐进式 JPEG",
        ),
        ImageFormat::Png => (
            "a picture without large attachments",
            "没有大块附加数据的图片",
        ),
        ImageFormat::Tiff => (
            "grey, RGB, YCbCr or CMYK of 8 or 16 bits per sample, or 32 bits floating point",
            "灰度、RGB、YCbCr 或 CMYK，每通道 8 位、16 位或 32 位浮点",
        ),
        ImageFormat::Webp | ImageFormat::Bmp => (
            "8 or 16 bits per sample in grey, RGB or CMYK",
            "灰度、RGB 或 CMYK，每通道 8 位或 16 位",
        ),
    }
}

#[cfg(test)]
mod tests;
