package rules

import (
	"path"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

func attackTools() Rule {
	return Rule{
		ID: "DH021", Name: "attack-tools", Severity: guard.Warning, Check: checkAttackTools,
		Title: "Tools that an attacker would otherwise have to bring are in the final image",
	}
}

func checkAttackTools(s *guard.Subject, _ guard.Settings) []guard.Finding {
	var found []guard.Finding
	for _, in := range installed(s, attackTool) {
		found = append(found, toolFinding(in.where, guard.Warning, in.names))
	}
	for _, in := range installed(s, compiler) {
		if !removesGroup(s, in.where) {
			found = append(found, toolFinding(in.where, guard.Info, in.names))
		}
	}
	if len(found) > 0 || s.Contents == nil {
		return found
	}
	var tools, compilers []string
	for _, p := range s.Contents.Tools {
		if compiler(path.Base(p)) {
			compilers = append(compilers, p)
		} else {
			tools = append(tools, p)
		}
	}
	if len(tools) > 0 {
		found = append(found, toolFinding(s.Where, guard.Warning, tools))
	}
	if len(compilers) > 0 {
		found = append(found, toolFinding(s.Where, guard.Info, compilers))
	}
	return found
}

func toolFinding(where guard.Location, severity guard.Severity, names []string) guard.Finding {
	f := guard.Finding{
		Severity: severity, Where: where,
		Message: list(names) + " " + verb(names) + " in the final image",
		Detail:  "it scans, connects or debugs for whoever gets in, as well as for whom it was meant",
		Hint:    "keep it in a stage for debugging: docker build --target debug",
	}
	if severity == guard.Info {
		f.Detail = "a compiler builds an exploit for the very kernel it runs on"
		f.Hint = "compile in a stage of its own and copy the result"
	}
	return f
}

// attackTool reports whether a package or program is for scanning, tunnelling, sniffing, debugging or guessing.
func attackTool(name string) bool {
	switch name {
	case "nmap", "nmap-ncat", "ncat", "nc", "netcat", "netcat-openbsd", "netcat-traditional", "socat", "masscan", "zmap",
		"hping3", "tcpdump", "tshark", "wireshark", "wireshark-common", "ngrep", "ettercap", "ettercap-common",
		"ettercap-text-only", "dsniff", "gdb", "gdbserver", "strace", "ltrace", "bpftrace", "hydra", "john", "hashcat",
		"sqlmap", "nikto", "metasploit", "metasploit-framework", "aircrack-ng", "proxychains", "proxychains4",
		"proxychains-ng", "chisel", "kube-hunter", "peirates", "deepce", "linpeas", "amicontained", "telnet":
		return true
	}
	return false
}

// compiler reports whether a package or program builds programs.
func compiler(name string) bool {
	switch name {
	case "gcc", "g++", "cc", "c++", "clang", "tcc", "build-essential", "build-base", "base-devel", "gcc-c++", "llvm":
		return true
	}
	return strings.HasPrefix(name, "gcc-") && strings.Trim(name[4:], "0123456789.") == ""
}

// removesGroup reports whether a step takes away a virtual package of apk (.build-deps), and with it what it
// installed under that name; which of its packages those are is not known, compilers most likely.
func removesGroup(s *guard.Subject, where guard.Location) bool {
	return slices.ContainsFunc(s.Steps, func(step guard.Step) bool {
		return step.Where == where && slices.ContainsFunc(step.Removes, func(r string) bool { return strings.HasPrefix(r, ".") })
	})
}
