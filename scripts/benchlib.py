"""What bench and bench-compare share: servers that are measured, clients that load them, numbers.

A server is pinned to the first core that is ours, clients to the second. CPU is what the scheduler
says that the server's threads have run (user and system), to the nanosecond; it is the same time
that getrusage() tells in ticks.
"""
import json
import math
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

cores = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = cores[0], cores[-1]
alive = []
scratch = None


def say(text):
    print(text, file=sys.stderr, flush=True)


def die(text):
    sys.exit(f"bench: {text}")


def work_dir():
    """Memory for volumes and sockets, gone at the end."""
    global scratch
    if not scratch:
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        scratch = tempfile.mkdtemp(prefix="berth-bench-", dir=base)
    return scratch


def clean():
    for server in list(alive):
        server.stop()
    if scratch:
        shutil.rmtree(scratch, ignore_errors=True)


def own_network(script):
    """Run again in a network of our own, where nobody else talks and reno can be chosen."""
    if os.environ.get("BENCH_NETWORK"):
        return
    unshare = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    if subprocess.run(unshare + ["true"], stderr=subprocess.DEVNULL).returncode:
        os.environ["BENCH_NETWORK"] = "shared"
        return
    os.environ["BENCH_NETWORK"] = "own"
    os.execvp(unshare[0], unshare + [sys.executable, script] + sys.argv[1:])


def prepare():
    """Returns the congestion control in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # A thousand client sockets do not wait for the last thousand to be forgotten.
    if os.environ.get("BENCH_NETWORK") == "own":
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        path = "/proc/sys/net/ipv4/tcp_congestion_control"
        try:
            with open(path, "w") as f:
                f.write("reno")
        except OSError as e:
            say(f"bench: reno cannot be set: {e}")
    with open("/proc/sys/net/ipv4/tcp_congestion_control") as f:
        return f.read().strip()


def pin(core, idle=False):
    def fn():
        os.sched_setaffinity(0, {core})
        if idle:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    return fn


def cpu_ns(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as f:
            total += int(f.read().split()[0])
    return total


def resident_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


# --- servers ---

class Server:
    """argv prints its URL on a line and then `ready`."""

    def __init__(self, name, argv, core=None, idle=False):
        self.name = name
        self.log = open(os.path.join(work_dir(), f"{name}.log"), "w")
        self.process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=self.log, text=True, start_new_session=True,
            preexec_fn=pin(SERVER_CORE if core is None else core, idle))
        self.pid = self.process.pid
        alive.append(self)
        self.urls = []
        for line in self.process.stdout:
            if line.strip() == "ready":
                return
            self.urls.append(line.strip())
        self.stop()
        with open(self.log.name) as f:
            die(f"{name} does not start: {f.read().strip()}")

    @property
    def url(self):
        return self.urls[0]

    def stop(self):
        if self in alive:
            alive.remove(self)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Tgt:
    """Debian's tgt with one file on tmpfs. Its defaults; or `best`: long segments and bursts,
    unsolicited data, a deep queue, as it can be told without another program in its place."""

    BEST = {"MaxRecvDataSegmentLength": 262144, "MaxXmitDataSegmentLength": 262144,
            "MaxBurstLength": 1048576, "FirstBurstLength": 262144, "InitialR2T": "No",
            "ImmediateData": "Yes", "MaxOutstandingR2T": 8, "MaxQueueCmd": 128}
    number = 0

    def __init__(self, name, size, best=False, threads=None):
        Tgt.number += 1
        self.name = name
        self.control = str(20000 + os.getpid() % 10000 + Tgt.number)
        port = 13000 + os.getpid() % 10000 + Tgt.number  # below those that the system gives to connections
        image = os.path.join(work_dir(), f"{name}.img")
        with open(image, "wb") as f:
            f.truncate(size)
        argv = ["tgtd", "-f", "-C", self.control, "--iscsi", f"portal=127.0.0.1:{port}"]
        if threads:
            argv += ["-t", str(threads)]
        self.log = open(os.path.join(work_dir(), f"{name}.log"), "w")
        self.process = subprocess.Popen(argv, stdout=self.log, stderr=self.log,
                                        start_new_session=True, preexec_fn=pin(SERVER_CORE))
        self.pid = self.process.pid
        alive.append(self)
        iqn = f"iqn.2026-11.io.berth:{name}"
        target = ["--lld", "iscsi", "--mode", "target", "--tid", "1"]
        for i in range(100):
            if self.admin(*target, "--op", "new", "-T", iqn, quiet=i < 99):
                break
            time.sleep(0.05)
        else:
            die("tgtd does not start")
        self.admin("--lld", "iscsi", "--mode", "logicalunit", "--op", "new", "--tid", "1",
                   "--lun", "1", "-b", image)
        for key, value in self.BEST.items() if best else ():
            self.admin(*target, "--op", "update", "--name", key, "--value", str(value))
        self.admin(*target, "--op", "bind", "-I", "ALL")
        self.url = f"iscsi://127.0.0.1:{port}/{iqn}/1"

    def admin(self, *args, quiet=False):
        done = subprocess.run(["tgtadm", "-C", self.control, *args], capture_output=True, text=True)
        if done.returncode and not quiet:
            die(f"tgtadm {' '.join(args)}: {done.stderr.strip()}")
        return done.returncode == 0

    stop = Server.stop


# --- clients: each returns {"rate": per second, "ops": counted, "p50_us": ..} ---

def run_client(argv):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300,
                          preexec_fn=pin(CLIENT_CORE))
    if done.returncode:
        die(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()[-400:]}")
    return done.stdout


class Clients:
    def __init__(self, build):
        self.drive_path = os.path.join(build, "bench", "drive")
        self.berth_path = os.path.join(build, "berth")
        self.counts = {}
        have = subprocess.run([self.berth_path, "bench", "--help"], capture_output=True)
        self.has_bench = have.returncode == 0

    def fill(self, url, scatter=False):
        run_client([self.drive_path, "--fill", "--time", "0"] + (["--scatter"] if scatter else []) + [url])

    def drive(self, url, seconds, **options):
        argv = [self.drive_path, "--time", str(seconds)]
        for key, value in options.items():
            argv += [f"--{key}"] if value is True else [f"--{key}", str(value)]
        return json.loads(run_client(argv + [url]))

    def bench(self, url, seconds, **options):
        """`berth bench`, or the driver where this build has none."""
        if not self.has_bench:
            return self.drive(url, seconds, **options)
        argv = [self.berth_path, "bench", "--json", "--time", str(max(1, round(seconds)))]
        if options.pop("poll", False):
            options["spin"] = 1000
        if "mix" in options:
            options["rwmixread"] = options.pop("mix")
        for key, value in options.items():
            argv += [f"--{key}", str(value)]
        told = json.loads(run_client(argv + [url]))
        ways = [told[way] for way in ("read", "write") if told[way]["requests"]]
        most = max(ways, key=lambda way: way["requests"])
        return {"rate": sum(way["iops"] for way in ways), "ops": sum(way["requests"] for way in ways),
                "p50_us": most["latency_ns"]["p50"] / 1000, "p99_us": most["latency_ns"]["p99"] / 1000,
                "client_cpu_us": told["client"]["cpu_us_per_request"]}

    def iscsi_perf(self, url, seconds, depth, blocks, random):
        seconds = max(1, round(seconds))
        argv = ["iscsi-perf", "-m", str(depth), "-b", str(blocks), "-t", str(seconds)]
        out = run_client(argv + (["-r"] if random else []) + [url])
        rate = float(re.findall(r"iops average (\d+)", out)[-1])
        return {"rate": rate, "ops": rate * seconds}

    def qemu_img(self, url, seconds, depth, size, write):
        key = (url, depth, size, write)
        count = self.counts.get(key, 200)
        while True:
            out = run_client(["qemu-img", "bench", "-f", "raw", "-t", "none", "-c", str(count), "-d",
                              str(depth), "-s", str(size)] + (["-w"] if write else []) + [url])
            took = max(float(re.search(r"completed in ([\d.]+)", out).group(1)), 0.001)
            good, now = took > 0.5 * seconds or key in self.counts, count
            count = int(count * min(seconds / took, 50)) + 1
            if good:
                self.counts[key] = max(count, 20)
                return {"rate": now / took, "ops": now}


def measure(server, client):
    """client(url), with the server's CPU time for each operation."""
    before = cpu_ns(server.pid)
    result = client(server.url)
    result["cpu_us"] = (cpu_ns(server.pid) - before) / 1000 / max(result["ops"], 1)
    if result.get("server_cpu_us"): # the client knows better: without logins and what comes after
        result["cpu_us"] = result["server_cpu_us"]
    return result


# --- numbers ---

def median(values):
    return statistics.median(values)


def interval(values):
    """Of the median, by order statistics: 95 % where there are enough values (6), else all of them."""
    v = sorted(values)
    n, skip = len(v), 0
    while 2 * (skip + 1) < n and sum(math.comb(n, i) for i in range(skip + 1)) / 2 ** (n - 1) <= 0.05:
        skip += 1
    skip = max(skip - 1, 0)
    return v[skip], v[n - 1 - skip]


def paired(a, b):
    return [x / y for x, y in zip(a, b)]
