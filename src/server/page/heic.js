// @ts-check
// HEIC, as iPhones save photos. The service does not read it, and most browsers do not either; where this one does, the page
// sends a JPEG instead.

/** Kinds of HEIF that hold HEVC pictures, as their first bytes name them (ISO/IEC 23008-12, annex B). */
const BRANDS = ["heic", "heix", "hevc", "hevx", "heim", "heis", "hevm", "hevs", "mif1", "msf1"];
/** Above this, more bytes change no score. */
const JPEG_QUALITY = 0.95;

/** Whether the bytes are HEIC, whatever the name says. @param {Blob} file */
export async function isHeic(file) {
  const head = new TextDecoder("latin1").decode(await file.slice(4, 12).arrayBuffer());
  return head.startsWith("ftyp") && BRANDS.includes(head.slice(4));
}

/**
 * The same picture as a JPEG, upright; nothing where this browser cannot read it.
 * @param {File} file
 * @returns {Promise<File | undefined>}
 */
export async function asJpeg(file) {
  const picture = await createImageBitmap(file).catch(() => undefined);
  if (!picture) return undefined;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.width, picture.height];
  canvas.getContext("2d")?.drawImage(picture, 0, 0);
  picture.close();
  /** @type {Blob | null} */
  const jpeg = await new Promise((resolve) => { canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY); });
  return jpeg ? new File([jpeg], file.name.replace(/\.\w+$/, "").concat(".jpg"), { type: "image/jpeg" }) : undefined;
}
