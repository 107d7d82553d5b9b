package rules

import (
	"path"

	"github.com/deckhand-engine/deckhand/guard"
)

func packageManager() Rule {
	return Rule{
		ID: "DH020", Name: "package-manager", Severity: guard.Info, Check: checkPackageManager,
		Title: "A package manager is left in the final image",
	}
}

func checkPackageManager(s *guard.Subject, _ guard.Settings) []guard.Finding {
	f := guard.Finding{
		Where:  s.Where,
		Detail: "it is the quickest way for an intruder to fetch tools, and nothing that a service needs",
		Hint:   "copy what was installed into an image without one: a last stage FROM scratch or distroless",
	}
	if s.Contents != nil {
		if len(s.Contents.Managers) == 0 {
			return nil
		}
		f.Message = "holds package managers: " + list(s.Contents.Managers)
		return []guard.Finding{f}
	}
	for i, step := range s.Steps {
		name := path.Base(step.Manager)
		if systemManager(name) && !removed(s.Steps[i:], managerPackage(name)) && !removed(s.Steps[i:], name) {
			f.Where, f.Message = step.Where, short(name)+" stays in the final image"
			return []guard.Finding{f}
		}
	}
	return nil
}

// systemManager reports whether a manager installs programs for the system, not libraries for one language.
func systemManager(name string) bool {
	switch name {
	case "apt", "apt-get", "aptitude", "apk", "dnf", "microdnf", "dnf5", "tdnf", "yum", "zypper", "pacman", "dpkg", "rpm",
		"emerge", "xbps-install", "opkg":
		return true
	}
	return false
}

// managerPackage is the package that brings a manager.
func managerPackage(name string) string {
	switch name {
	case "apt-get":
		return "apt"
	case "apk":
		return "apk-tools"
	}
	return name
}
