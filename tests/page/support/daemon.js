// @ts-check
// The real daemon, on a free port, with a folder of its own.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));
/** One clear frontal face, 512 × 512. */
export const ASTRONAUT = join(REPOSITORY, "tests/photos/astronaut.jpg");
/** Somebody else, 160 × 160. */
export const SOMEBODY_ELSE = join(REPOSITORY, "tests/page/node_modules/admin-lte/dist/assets/img/user2-160x160.jpg");

const PROGRAM = process.env.FACEOODD ?? join(process.env.CARGO_TARGET_DIR ?? join(REPOSITORY, "target"), "debug/faceoodd");
const DEADLINE_MS = 120_000;

/** A running daemon. */
export class Daemon {
  /** @type {import("node:child_process").ChildProcess | undefined} */
  #process;
  #log = "";

  /** @param {string} folder */
  constructor(folder) {
    this.folder = folder;
    this.address = "";
  }

  /** @param {string[]} more arguments */
  static async start(...more) {
    const daemon = new Daemon(await mkdtemp(join(tmpdir(), "faceood-page-")));
    await daemon.run("127.0.0.1:0", more);
    return daemon;
  }

  /**
   * @param {string} listen
   * @param {string[]} [more]
   */
  async run(listen, more = []) {
    const started = spawn(PROGRAM, ["--listen", listen, "--data-dir", this.folder, ...more], { cwd: REPOSITORY });
    this.#process = started;
    /** @type {Error | undefined} */
    let failure;
    started.on("error", (error) => { failure = error; });
    for (const stream of [started.stdout, started.stderr]) stream?.on("data", (text) => { this.#log += text; });
    const deadline = Date.now() + DEADLINE_MS;
    while (Date.now() < deadline && started.exitCode === null && !failure) {
      // The file is there once everything is loaded.
      const address = await readFile(join(this.folder, "address"), "utf8").catch(() => "");
      if (address) {
        this.address = `http://${address.trim()}`;
        const ready = await fetch(`${this.address}/readyz`).catch(() => undefined);
        if (ready?.ok) return;
      }
      await sleep(50);
    }
    throw new Error(`${PROGRAM} is not ready${failure ? ` (${failure.message}; cargo build makes it)` : ""}:\n${this.#log}`);
  }

  /** The first address that speaks TLS, as the log names it, with another host. @param {string} host */
  async encrypted(host) {
    for (const deadline = Date.now() + DEADLINE_MS; Date.now() < deadline; await sleep(50)) {
      const port = /listening on .*?https:\/\/\S*?:(\d+)\b/.exec(this.#log)?.[1];
      if (port) return `https://${host}:${port}`;
    }
    throw new Error(`no address speaks TLS:\n${this.#log}`);
  }

  /** As a power cut would. */
  kill() {
    return this.#end("SIGKILL");
  }

  /** Starts it where it was. */
  async again() {
    await this.run(new URL(this.address).host);
  }

  async stop() {
    await this.#end("SIGTERM");
    await rm(this.folder, { recursive: true, force: true });
  }

  /** @param {"SIGKILL" | "SIGTERM"} signal */
  async #end(signal) {
    const running = this.#process;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const gone = once(running, "exit");
    running.kill(signal);
    await gone;
  }
}
