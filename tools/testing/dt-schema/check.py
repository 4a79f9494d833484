# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Device trees against the kernel's bindings: the model's own, and those of the boards that the guide names, which have to
have what it says as well.

    check.py SOURCE WORK TOOLS

SOURCE is the kernel's, TOOLS the directory that has dt-validate. Changes that do not keep to the bindings have to be
complained about: a check that cannot fail proves nothing. The output is that of a selftest.
"""

import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[3]
MODEL = TOP / "tools/testing/hwmodel/uml"

# What describes the nodes that the drivers take.
OWN = ("gpu/arm,mali-valhall-csf.yaml", "npu/rockchip,rk3588-rknn-core.yaml", "iommu/rockchip,iommu.yaml")
# What describes a node around them, in the model's trees.
AROUND = ("regulator/regulator.yaml",)

# The model's trees that keep to the bindings. (Memory is coherent in User-mode Linux unless a node says no, for which the
# GPU's binding has no property.)
GOOD = ("soc", "soc-one-opp", "soc-suspend-opp", "soc-no-opp")
# Changes after which they do not any more, and what has to be said of them.
BAD = {
    "gpu-supply": ("&gpu { /delete-property/ mali-supply; };", "'mali-supply' is a required property"),
    "gpu-domains": ("&gpu { power-domains = <&power 0>, <&power 5>; };", "power-domains: .* is too long"),
    "gpu-interrupts": ('&gpu { interrupt-names = "gpu", "job", "mmu"; };', "interrupt-names:0: 'job' was expected"),
    "gpu-unknown": ("&gpu { core-mask = <1>; };", "'core-mask' does not match any"),
    "npu-resets": ("&rknn_core_1 { /delete-property/ resets; };", "'resets' is a required property"),
    "npu-supply": ("&rknn_core_2 { /delete-property/ npu-supply; };", "'npu-supply' is a required property"),
    "npu-registers": ('&rknn_core_0 { reg-names = "pc", "core", "cna"; };', "reg-names:1: 'cna' was expected"),
    "npu-iommu": ("&rknn_core_0 { /delete-property/ iommus; };", "'iommus' is a required property"),
    "iommu-clocks": ("&rknn_mmu_0 { /delete-property/ clock-names; };", "'clock-names' is a required property"),
}

# What the guide says of the nodes of a board, by their labels.
BOARD = {
    "gpu": ("mali-supply", "operating-points-v2"),
    **{f"rknn_core_{n}": ("npu-supply", "sram-supply") for n in range(3)},
    **{f"rknn_mmu_{n}": () for n in range(3)},
    "pd_gpu": ("domain-supply",),
    "pd_npu": ("domain-supply",),
}
ENABLED = re.compile(r"gpu|rknn_")

tests = 0


def say(passed, what):
    global tests
    tests += 1
    print(("ok" if passed else "not ok") + f" {tests} - {what}", flush=True)


def run(*command):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def compiled(source, work, includes, preprocess):
    """The tree as a blob with the labels in it; None, with a failure, if it cannot be made."""
    blob = work / f"{source.stem}.dtb"
    if preprocess:
        plain = work / f"{source.stem}.dts"
        status, text = run("gcc", "-E", "-nostdinc", "-undef", "-D__DTS__", "-x", "assembler-with-cpp",
                           *(f"-I{path}" for path in includes), "-o", plain, source)
        if status:
            say(False, f"{source.name}: the preprocessor says: {text.strip()}")
            return None
        source = plain
    status, text = run("dtc", "-q", "-@", "-I", "dts", "-O", "dtb", *(word for path in includes for word in ("-i", path)),
                       "-o", blob, source)
    if status:
        say(False, f"{source.name}: dtc says: {text.strip()}")
        return None
    return blob


def complaints(tools, schema, blob, own_only):
    """What dt-validate says of a blob: by whichever binding, or by those of our nodes only."""
    _, text = run(tools / "dt-validate", "-s", schema, blob)
    found = []
    for entry in re.split(r"^(?=/)", text, flags=re.M):
        message = entry.split(".dtb: ", 1)[-1].strip()
        if message and (not own_only or any(f"/{name}" in message for name in OWN)):
            found.append(re.sub(r"\s+", " ", message))
    return found


def boards(source):
    """The sources of the boards' trees, as the guide names them."""
    text = (TOP / "Documentation/boards.rst").read_text()
    directory = source / "arch/arm64/boot/dts/rockchip"
    return sorted({path for pattern in re.findall(r"``?(rk3588[\w*-]+)\.dtb", text)
                   for path in directory.glob(f"{pattern}.dts")})


def check_board(blob, name):
    """What the guide says of this board's nodes."""
    def get(node, prop, kind="x"):
        status, text = run("fdtget", "-t", kind, blob, node, prop)
        return None if status else text.strip()

    for label, properties in BOARD.items():
        node = get("/__symbols__", label, "s")
        if node is None:
            say(False, f"{name}: there is no {label}")
            continue
        lacks = [prop for prop in properties if get(node, prop) is None]
        if ENABLED.match(label) and get(node, "status", "s") not in (None, "okay"):
            lacks.append("status okay")
        say(not lacks, f"{name}: {label}" + (f" lacks {', '.join(lacks)}" if lacks else " has what the guide says"))


def main():
    source, work, tools = (pathlib.Path(path).resolve() for path in sys.argv[1:4])
    work.mkdir(parents=True, exist_ok=True)
    bindings = source / "Documentation/devicetree/bindings"
    schema = work / "schema.json"
    with open(schema, "w") as file:
        subprocess.run([tools / "dt-mk-schema", "-j", *(bindings / name for name in OWN + AROUND)], stdout=file,
                       stderr=subprocess.DEVNULL, check=True)

    includes = [MODEL]
    for name in GOOD:
        if blob := compiled(MODEL / f"{name}.dts", work, includes, False):
            found = complaints(tools, schema, blob, False)
            say(not found, f"{name}: keeps to the bindings" + "".join(f"; {text}" for text in found[:3]))
    for name, (change, expected) in BAD.items():
        path = work / f"bad-{name}.dts"
        path.write_text(f'/include/ "soc.dts"\n{change}\n')
        if blob := compiled(path, work, includes, False):
            found = complaints(tools, schema, blob, True)
            say(any(re.search(expected, text) for text in found), f"{name}: is complained about"
                + ("" if found else ", and is not") + "".join(f"; {text[:150]}" for text in found[:2]))

    includes = [source / "include", source / "scripts/dtc/include-prefixes", source / "arch/arm64/boot/dts/rockchip"]
    found = boards(source)
    say(len(found) >= 9, f"the guide names {len(found)} boards that the kernel has")
    for path in found:
        if blob := compiled(path, work, includes, True):
            said = complaints(tools, schema, blob, True)
            say(not said, f"{path.stem}: its nodes keep to the bindings" + "".join(f"; {text}" for text in said[:3]))
            check_board(blob, path.stem)
    print(f"1..{tests}")


if __name__ == "__main__":
    main()
