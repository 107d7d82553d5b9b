package shell

import (
	"path"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/users"
)

// manager is a run of a package manager.
func (e *effects) manager(name string, c call) {
	verb, packages := managed(name, c.argv[1:])
	if verb == elsewhereVerb {
		return
	}
	if e.out.Step.Manager == "" {
		e.out.Step.Manager = name
	}
	switch verb {
	case installVerb:
		e.install(name, packages)
		if name == "apk" {
			e.virtual(c.argv[1:], packages)
		}
	case removeVerb:
		for _, p := range packages {
			add(&e.out.Step.Removes, e.virtuals[p]...)
			add(&e.out.Step.Removes, packageName(name, p))
		}
	case elsewhereVerb, otherVerb:
	}
}

func (e *effects) install(name string, packages []string) {
	var names []string
	for _, p := range packages {
		if n, removed := strings.CutSuffix(p, "-"); removed && (name == "apt-get" || name == "apt" || name == "aptitude") {
			add(&e.out.Step.Removes, n)
			continue
		}
		if n := packageName(name, p); n != "" {
			names = append(names, n)
		}
	}
	add(&e.out.Step.Installs, names...)
	e.change(users.Change{
		Kind: users.AddUser, By: users.ByPackages, UID: guard.ID{Least: 1, Most: 999}, HasUID: true,
		Why: name + " installs packages, which may add the user",
	})
}

// verb is what a package manager is told to do.
type verb int

const (
	otherVerb verb = iota
	installVerb
	removeVerb
	elsewhereVerb // in another root
)

// managed reads a package manager's words.
func managed(name string, args []string) (verb, []string) {
	switch name {
	case "pacman":
		return pacman(args)
	case "dpkg", "rpm", "opkg":
		return lowLevel(name, args)
	case "install_packages", "apt-install", "clean-install":
		return installVerb, parseOptions("", args, false).operands
	case "emerge", "xbps-install", "urpmi":
		return installVerb, parseOptions("R: r: C:", args, false).operands
	}
	o := parseOptions(managerOptions(name), args, false)
	if root, ok := o.last("root"); ok && root != "/" {
		return elsewhereVerb, nil
	}
	if len(o.operands) == 0 {
		return otherVerb, nil
	}
	switch o.operands[0] {
	case "install", "add", "in", "reinstall", "localinstall", "upgrade-and-install", "si":
		return installVerb, o.operands[1:]
	case "remove", "purge", "del", "erase", "rm", "autoremove", "autopurge", "uninstall", "delete":
		return removeVerb, o.operands[1:]
	}
	return otherVerb, nil
}

// managerOptions are the options that take an argument; the rest need not be known.
func managerOptions(name string) string {
	switch name {
	case "apt-get", "apt", "aptitude":
		return "o|option: t|target-release|default-release: c|config-file: a|host-architecture: q y f"
	case "apk":
		return "X|repository: t|virtual: root|p: keys-dir: repositories-file: arch: cache-dir: cache-max-age: wait: timeout: U u"
	case "dnf", "dnf5", "yum", "microdnf", "tdnf":
		return "c|config: root|installroot: enablerepo: disablerepo: repo|repoid: setopt: releasever: d|debuglevel: e|errorlevel: " +
			"x|exclude|excludepkgs: forcearch: disableplugin: enableplugin: advisory: comment: rpmverbosity: R|randomwait:"
	case "zypper":
		return "r|repo: root|R: c|config: C|cache-dir: D|reposd-dir: raw-cache-dir: solv-cache-dir: pkg-cache-dir: from: t|type: plus-repo: p:"
	}
	return ""
}

func pacman(args []string) (verb, []string) {
	o := parseOptions("S|sync R|remove U|upgrade Q|query D|database T|deptest F|files y|refresh u|sysupgrade n|nosave s|recursive c|cascade "+
		"w|downloadonly b|dbpath: root|r: cachedir: config: arch: ignore: ignoregroup: overwrite: color: gpgdir: hookdir: logfile: asdeps needed", args, false)
	root, elsewhere := o.last("root")
	switch {
	case elsewhere && root != "/":
		return elsewhereVerb, nil
	case o.has("S") && !o.has("c"), o.has("U"):
		return installVerb, o.operands
	case o.has("R"):
		return removeVerb, o.operands
	}
	return otherVerb, nil
}

func lowLevel(name string, args []string) (verb, []string) {
	o := parseOptions("i|install r|remove P|purge U|upgrade F|freshen e|erase q|query root|R: admindir: instdir: a|recursive v|verbose h|hash "+
		"unpack configure x: define|D: dbpath: nodeps", args, false)
	root, elsewhere := o.last("root")
	operands := o.operands
	if name == "opkg" && len(operands) > 0 {
		return managed("", operands)
	}
	switch {
	case elsewhere && root != "/":
		return elsewhereVerb, nil
	case o.has("q"):
		return otherVerb, nil
	case o.has("i"), o.has("U"), o.has("F"), o.has("unpack"):
		return installVerb, operands
	case o.has("e"), name == "dpkg" && (o.has("r") || o.has("P")):
		return removeVerb, operands
	}
	return otherVerb, nil
}

// virtual remembers what an apk virtual package is made of.
func (e *effects) virtual(args, packages []string) {
	name, ok := parseOptions(managerOptions("apk"), args, false).last("t")
	if !ok {
		return
	}
	if e.virtuals == nil {
		e.virtuals = map[string][]string{}
	}
	for _, p := range packages {
		e.virtuals[name] = append(e.virtuals[name], packageName("apk", p))
	}
}

// packageName takes the version, the release and the architecture off.
func packageName(manager, p string) string {
	p = shown(p)
	if strings.HasPrefix(p, "!") {
		return ""
	}
	file := isPackageFile(p)
	if file {
		p = path.Base(p)
	}
	switch manager {
	case "apt-get", "apt", "aptitude", "dpkg", "install_packages", "apt-install", "clean-install":
		if file {
			p, _, _ = strings.Cut(p, "_")
			return strings.TrimSuffix(p, ".deb")
		}
		p = cutAny(p, "=/:")
		return strings.TrimSuffix(p, "+") + plusses(p)
	case "apk":
		return strings.TrimSuffix(cutAny(p, "=<>~@"), ".apk")
	case "dnf", "dnf5", "yum", "microdnf", "tdnf", "rpm", "zypper":
		p = strings.TrimSuffix(cutAny(p, "=<>"), ".rpm")
		for _, arch := range []string{".x86_64", ".noarch", ".aarch64", ".i686", ".amd64"} {
			p = strings.TrimSuffix(p, arch)
		}
		return withoutVersion(p)
	}
	return cutAny(p, "=<>")
}

// isPackageFile reports whether a package is given as a file or an address.
func isPackageFile(p string) bool {
	suffix := path.Ext(p)
	return strings.Contains(p, "://") || suffix == ".deb" || suffix == ".rpm" || suffix == ".apk" ||
		strings.HasPrefix(p, "/") || strings.HasPrefix(p, "./")
}

// plusses gives back what "g++" needs: one plus asks for the installation, two are the name.
func plusses(p string) string {
	if strings.HasSuffix(p, "++") {
		return "+"
	}
	return ""
}

func cutAny(s, chars string) string {
	if i := strings.IndexAny(s, chars); i > 0 {
		return s[:i]
	}
	return s
}

// withoutVersion takes "-1.20.1-1.el8" off; "java-11-openjdk" and "postgresql-12" are names.
func withoutVersion(p string) string {
	parts := strings.Split(p, "-")
	for i := 1; i < len(parts); i++ {
		v := parts[i]
		if v != "" && v[0] >= '0' && v[0] <= '9' && strings.ContainsAny(v, ".:*") && len(parts)-i <= 2 {
			return strings.Join(parts[:i], "-")
		}
	}
	return p
}
