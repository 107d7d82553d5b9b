package attack

// attack is a test and what is to be taken out of the source for it to fail.
type attack struct {
	cve     string
	pkg     string // whose test it is
	test    string
	without []edit
	shows   string // a regular expression for what the test prints when the attack succeeds
}

// edit replaces what is once in a file.
type edit struct{ file, is, becomes string }

const (
	runtimePkg = "internal/runtime"
	stageDir   = "internal/runtime/stage/"
	layerPkg   = "internal/layer"
	storePkg   = "internal/store"
)

var attacks = map[string]attack{
	"overwrite the engine through /proc/self/exe": {
		cve: "CVE-2019-5736", pkg: runtimePkg, test: "TestOverwriteExe", shows: "the executable was changed",
		without: []edit{{runtimePkg + "/seal.go", "err := s.openOverlay()\n", "var err error\n\ts.fd, err = unix.Open(\"/proc/self/exe\", unix.O_PATH|unix.O_CLOEXEC, 0)\n"}},
	},
	"overwrite the engine that enters a container": {
		cve: "CVE-2019-5736", pkg: runtimePkg, test: "TestOverwriteExeByExec", shows: "text file busy", // the engine still runs: the right to write was had
		without: []edit{{runtimePkg + "/seal.go", "err := s.openOverlay()\n", "var err error\n\ts.fd, err = unix.Open(\"/proc/self/exe\", unix.O_PATH|unix.O_CLOEXEC, 0)\n"}},
	},
	"write to the copy of the engine in memory": {
		cve: "CVE-2019-5736", pkg: runtimePkg, test: "TestMemoryExe", shows: "want EPERM",
		without: []edit{{runtimePkg + "/seal.go", " | unix.F_SEAL_WRITE", ""}},
	},
	"use descriptors that the engine left open": {
		cve: "CVE-2024-21626", pkg: runtimePkg, test: "TestLeakedDescriptors", shows: `want "0\\n1\\n2"`,
		without: []edit{{stageDir + "command.go", "return raw.CloseRangeCloexec(3)", "return nil"}},
	},
	"start in a directory of the host": {
		cve: "CVE-2024-21626", pkg: runtimePkg, test: "TestWorkingDirectoryByDescriptor", shows: "started outside of its root",
		without: []edit{
			{stageDir + "user.go", "fd, err = c.openTarget(cwd, false, inRoot)", "fd, err = syscall.Open(cwd, raw.O_PATH, 0)"},
			{stageDir + "user.go", "return checkDirectory()", "return nil"},
		},
	},
	"have a forged /dev/null mounted where a path is masked": {
		cve: "CVE-2025-31133", pkg: runtimePkg, test: "TestMaskWithForgedNull", shows: `printed "Linux"`,
		without: []edit{{stageDir + "protect.go", "cover := c.devs[0].fd\n", "cover, _ := raw.OpenTree(raw.AT_FDCWD, \"/dev/null\", raw.OPEN_TREE_CLONE)\n"}},
	},
	"have something else masked than procfs": {
		cve: "CVE-2025-31133", pkg: runtimePkg, test: "TestMaskedByLink", shows: "<nil>",
		without: []edit{{stageDir + "protect.go", `err = fail("not on the filesystem it should be on", syscall.EXDEV)`, "err = nil"}},
	},
	"have the terminal mounted over a link's end": {
		cve: "CVE-2025-52565", pkg: runtimePkg, test: "TestForgedConsole", shows: "mounted over the link's end",
		without: []edit{{stageDir + "tty.go", "if c.dev < 0 {\n\t\treturn nil\n\t}\n\tat, err := c.createInDev(\"console\")", "at, err := c.open(\"/dev/console\", inRoot)"}},
	},
	"lead the engine's writes to procfs elsewhere": {
		cve: "CVE-2025-52881", pkg: runtimePkg, test: "TestSysctlRedirected", shows: `written to: "7`,
		without: []edit{
			{stageDir + "system.go", "syscall.O_WRONLY, 0, noLinks)", "syscall.O_WRONLY, 0, inRoot)"},
			{stageDir + "system.go", "err != nil || !is {", "err != nil && !is {"},
		},
	},
	"mount over /proc": {
		cve: "CVE-2019-16884", pkg: runtimePkg, test: "TestMountOverProc", shows: "<nil>, want a refusal",
		without: []edit{{stageDir + "mounts.go", `return fail("the mount point is inside /proc", syscall.EPERM)`, "return nil"}},
	},
	"move /proc away from what protects it": {
		cve: "CVE-2019-16884", pkg: runtimePkg, test: "TestProcByLink", shows: "want ELOOP",
		without: []edit{
			{stageDir + "mounts.go", "resolve = noLinks // or an image", "resolve = inRoot // or an image"},
			{stageDir + "protect.go", "noLinks, procMagic", "inRoot, procMagic"},
		},
	},
	"reach the kernel's unsafe parts through a user namespace": {
		cve: "CVE-2022-0185", pkg: runtimePkg, test: "TestFilesystemContext", shows: "configured a filesystem",
		without: []edit{{runtimePkg + "/plan.go", "plan.Seccomp = unsafe.Slice(", "_ = unsafe.Slice("}},
	},
	"use capabilities that root should not have": {
		cve: "CVE-2022-0185", pkg: runtimePkg, test: "TestRootMounts", shows: "Code:0",
		without: []edit{
			{stageDir + "user.go", "dropBounding(p.Caps.Bounding)", "dropBounding(^uint64(0))"},
			{stageDir + "user.go", "raw.Capset(caps.Effective, caps.Permitted, caps.Inheritable)", "error(nil)"},
		},
	},
	"become root by a setuid file in a layer": {
		pkg: runtimePkg, test: "TestSetuidFile", shows: "runs as 9000 0 0 0",
		without: []edit{{stageDir + "user.go", "raw.Prctl(raw.PR_SET_NO_NEW_PRIVS, 1, 0)", "error(nil)"}},
	},
	"open a device node in a volume": {
		pkg: runtimePkg, test: "TestNoDevices", shows: "node in a volume: {Exit:{Code:0",
		without: []edit{{runtimePkg + "/mounts.go", "set |= unix.MOUNT_ATTR_NODEV", "set |= 0"}},
	},
	"take nodev from a mount and open a device node": {
		pkg: runtimePkg, test: "TestDevicesOfAdmin", shows: "a node in the root",
		without: []edit{{runtimePkg + "/child.go", "return cgroup.AllowDevices(o.Cgroup, more)", "return nil"}},
	},
	"type on the terminal that was lent": {
		cve: "CVE-2016-2568", pkg: runtimePkg, test: "TestTerminalInjection", shows: "typed on the terminal|opened the controlling terminal",
		without: []edit{{stageDir + "stage.go", "if _, err := syscall.Setsid(); err != nil && err != syscall.EPERM {\n\t\treturn err\n\t}\n", ""}},
	},
	"have another process hit that took a container's pid": {
		pkg: runtimePkg, test: "TestPidReuse", shows: "another start time",
		without: []edit{{runtimePkg + "/process.go", "if err != nil || ticks != startTicks {", "if err != nil || ticks == 0 {"}},
	},
	"have the host run a release_agent": {
		cve: "CVE-2022-0492", pkg: runtimePkg, test: "TestReleaseAgent", shows: "TestReleaseAgent/defended",
		without: []edit{{runtimePkg + "/attack_escape_test.go", `"defended": {false, ""}`, `"defended": {true, ""}`}},
	},
	"unpack a layer outside of its directory": {
		pkg: layerPkg, test: "TestExtractRefusesEscapes", shows: "got <nil>",
		without: []edit{
			{layerPkg + "/dirs.go", "return \"\", ErrEscapes", "return clean, nil"},
			{layerPkg + "/dirs.go", "unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,\n\t}\n\tfor", "0,\n\t}\n\tfor"},
		},
	},
	"fill the disk with a small archive": {
		pkg: layerPkg, test: "TestExtractBlamesTheArchive", shows: "exceeds the limit|got <nil>",
		without: []edit{
			{layerPkg + "/extract.go", "e.out.Bytes > e.opts.maxBytes():", "false:"},
			{layerPkg + "/extract.go", "l.left < 0 {", "false {"},
		},
	},
	"use up inodes with a small archive": {
		pkg: layerPkg, test: "TestExtractBlamesTheArchive", shows: "exceeds the limit|got <nil>",
		without: []edit{{layerPkg + "/extract.go", "case e.out.Entries > e.opts.maxEntries():", "case false:"}},
	},
	"have the host's passwd file read for the image's": {
		cve: "CVE-2019-14271", pkg: "oci", test: "TestResolveUserSymlink", shows: "FAIL",
		without: []edit{{"oci/user.go", "unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS", "0"}},
	},
	"have the host's files copied into a volume": {
		cve: "CVE-2019-14271", pkg: "internal/engine", test: "TestVolumeFill", shows: "FAIL",
		without: []edit{{"internal/engine/volume.go", "unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS", "0"}},
	},
	"have a file of the host copied into an image": {
		cve: "CVE-2019-14271", pkg: "internal/build", test: "TestSources", shows: "FAIL: TestSources/absolute_escape",
		without: []edit{
			{"internal/build/tree.go", "securejoin.SecureJoin(t.dir, dir)", "filepath.EvalSymlinks(filepath.Join(t.dir, dir))"},
			{"internal/build/tree.go", "\tsecurejoin \"github.com/cyphar/filepath-securejoin\"\n", ""},
		},
	},
	"lead a volume's change of owner out of it": {
		cve: "CVE-2019-14271", pkg: "internal/engine", test: "TestChownIsNotLedAway", shows: "files outside of the tree were changed",
		without: []edit{{
			"internal/engine/chown.go", "flags | unix.O_CLOEXEC | unix.O_NOFOLLOW,\n\t\t\tResolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_MAGICLINKS",
			"flags | unix.O_CLOEXEC,\n\t\t\tResolve: 0",
		}},
	},
	"name a container ../x": {
		pkg: storePkg, test: "TestContainerNames", shows: "FAIL",
		without: []edit{{storePkg + "/container.go", `if c.Name != "" && !ref.ValidName(c.Name) {`, "if false {"}},
	},
	"name a bundle's container ../x": {
		pkg: "internal/bundle", test: "TestCheckID", shows: `"../a": <nil>`,
		without: []edit{{"internal/bundle/validate.go", `return fmt.Errorf("%w: %q", ErrBadID, id)`, "return nil"}},
	},
	"name a volume ../x": {
		pkg: storePkg, test: "TestVolumeNames", shows: "FAIL",
		without: []edit{{storePkg + "/volume.go", "case ref.ValidName(name):", "case len(name) > 1:"}},
	},
}
