package features

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// securityModules reports, and asks for nothing: what they forbid shows in the other lines.
func (p *prober) securityModules() Feature { return yes(modules("/sys", "/proc")) }

func modules(sys, proc string) string {
	var found []string
	if readLine(sys+"/module/apparmor/parameters/enabled") == "Y" {
		found = append(found, "AppArmor ("+strings.TrimSpace(readLine(proc+"/self/attr/current"))+")")
	}
	switch readLine(sys + "/fs/selinux/enforce") {
	case "1":
		found = append(found, "SELinux (enforcing)")
	case "0":
		found = append(found, "SELinux (permissive)")
	}
	if len(found) == 0 {
		return "neither AppArmor nor SELinux"
	}
	return strings.Join(found, ", ")
}

// readLine is the first line of a file, "" where there is none.
func readLine(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(strings.TrimRight(string(b), "\x00"), "\n")
	return line
}

// resourceCapability is what raising a hard limit takes.
func (p *prober) resourceCapability() Feature {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return no(err.Error(), "")
	}
	if sets[unix.CAP_SYS_RESOURCE/32].Effective&(1<<(unix.CAP_SYS_RESOURCE%32)) == 0 {
		return no("CAP_SYS_RESOURCE is missing: no limit of a container can be above this shell's", "run deckhand with full root rights")
	}
	return yes("CAP_SYS_RESOURCE")
}
