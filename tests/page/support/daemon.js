// @ts-check
// The real daemon, on a free port, with a folder of its own.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));
/** One clear frontal face, 512 × 512. */
export const ASTRONAUT = join(REPOSITORY, "tests/photos/astronaut.jpg");
/** Somebody else, 160 × 160. */
export const SOMEBODY_ELSE = join(REPOSITORY, "tests/page/node_modules/admin-lte/dist/assets/img/user2-160x160.jpg");

const PROGRAM = process.env.FACEOODD ?? join(process.env.CARGO_TARGET_DIR ?? join(REPOSITORY, "target"), "debug/faceoodd");
export const ADMIN = join(dirname(PROGRAM), "faceood-admin");
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
    /** Where the network reaches it, by TLS and with a token, if it does. */
    this.network = "";
  }

  /** @param {string[]} more arguments */
  static async start(...more) {
    const daemon = new Daemon(await mkdtemp(join(tmpdir(), "faceood-page-")));
    await daemon.run("127.0.0.1:0", more);
    return daemon;
  }

  /**
   * One that the network reaches too.
   * @param {string} config text of its settings
   * @param {Record<string, string>} roles of tokens by name
   * @returns the daemon, and the tokens by name
   */
  static async startProtected(config, roles) {
    const daemon = new Daemon(await mkdtemp(join(tmpdir(), "faceood-page-")));
    await writeFile(join(daemon.folder, "config.toml"), config);
    /** @type {Record<string, string>} */
    const tokens = {};
    for (const [name, role] of Object.entries(roles)) tokens[name] = await daemon.admin("token", "add", name, "--role", role);
    await daemon.run("127.0.0.1:0,0.0.0.0:0", ["--config", join(daemon.folder, "config.toml")]);
    // Lines of the log are written a moment later.
    const port = await until(() => /listening on .*https:\/\/[^ "]*:(\d+)/.exec(daemon.#log)?.[1]);
    daemon.network = `https://127.0.0.1:${port}`;
    return { daemon, tokens };
  }

  /**
   * What `faceood-admin` says when it is run with the settings of this daemon.
   * @param {string[]} call
   */
  async admin(...call) {
    const its = ["--config", join(this.folder, "config.toml"), "--data-dir", this.folder];
    return (await promisify(execFile)(ADMIN, [...call, ...its], { cwd: REPOSITORY })).stdout.trim();
  }

  /**
   * @param {string} listen
   * @param {string[]} [more]
   */
  async run(listen, more = []) {
    // To measure which provider is the fastest would take most of the time of a file of tests.
    const env = { FACEOOD_RUNTIME__PROVIDER: "cpu", ...process.env };
    const started = spawn(PROGRAM, ["--listen", listen, "--data-dir", this.folder, ...more], { cwd: REPOSITORY, env });
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

/**
 * What `ask` gives, as soon as that is something.
 * @template T
 * @param {() => T | Promise<T>} ask
 * @returns {Promise<NonNullable<Awaited<T>>>}
 */
export async function until(ask) {
  for (const deadline = Date.now() + DEADLINE_MS; Date.now() < deadline; await sleep(50)) {
    const found = await ask();
    if (found) return found;
  }
  throw new Error(`nothing came of ${ask}`);
}
