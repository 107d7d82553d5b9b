package proof

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/deckhand-engine/deckhand/guard/profile"
)

// kubernetes is kubernetes.yaml: a Deployment, after the claims of its volumes.
func (p *Proof) kubernetes() ([]byte, error) {
	var all []*yaml.Node
	for _, v := range p.claimed() {
		all = append(all, p.claim(v))
	}
	return documents(p.kubernetesHead(), append(all, p.deployment())...)
}

// kubernetesHead is what a person has to know and do.
func (p *Proof) kubernetesHead() []string {
	lines := []string{p.name() + " with what was proven, as " + PageName + " says. Written by `deckhand harden`.", ""}
	if broken := p.unmet(); len(broken) > 0 {
		lines = append(lines, "This does NOT pass the Pod Security Standard \"restricted\". The service needs:")
		for _, what := range broken {
			lines = append(lines, "  - "+what)
		}
	} else {
		lines = append(lines, "This passes the Pod Security Standard \"restricted\".")
	}
	lines = append(lines, "", "The image has to be where the cluster pulls from. Built, where DIR is this directory, by:", "  "+p.build())
	if len(p.Syscalls) > 0 {
		lines = append(lines, "", "The filter has to be on each node before the pod starts, as the kubelet's:",
			"  install -D -m 0644 "+RuncName+" /var/lib/kubelet/seccomp/"+p.localhostProfile())
	}
	for _, line := range slices.Concat(p.dockerLacks(), p.unmounted()) {
		lines = append(lines, "", line)
	}
	return lines
}

// localhostProfile is the filter's place below the kubelet's directory of them.
func (p *Proof) localhostProfile() string { return p.name() + "-hardened.json" }

// unmounted says which directories cannot be named.
func (p *Proof) unmounted() []string {
	lines := p.unsaid()
	for _, v := range p.Profile.Volumes {
		if !sayable(v.Path) {
			lines = append(lines, "Left out, since a path with a colon cannot be named here: "+v.Path)
		}
	}
	return lines
}

// unmet is what the standard "restricted" does not allow, and the service needs.
func (p *Proof) unmet() []string {
	var broken []string
	if p.isRoot() {
		broken = append(broken, "uid 0 (runAsNonRoot, runAsUser)")
	}
	if p.Profile.Escalates {
		broken = append(broken, "to gain privileges by set-user-ID programs (allowPrivilegeEscalation)")
	}
	var caps []string
	for _, c := range sorted(slices.Concat(p.Profile.Capabilities, p.fillCapabilities())) {
		if c != "CAP_NET_BIND_SERVICE" {
			caps = append(caps, c)
		}
	}
	if len(caps) > 0 {
		broken = append(broken, "capabilities other than CAP_NET_BIND_SERVICE (capabilities.add): "+strings.Join(caps, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(p.sysctls())) {
		if !slices.Contains(safeSysctls(), name) {
			broken = append(broken, "a sysctl that Kubernetes does not count as safe, and that the kubelet has to be told to allow: "+name)
		}
	}
	return broken
}

// safeSysctls are those that the standards allow in all versions of Kubernetes since 1.32.
func safeSysctls() []string {
	return []string{
		"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.tcp_syncookies",
		"net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
		"net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem",
		"net.ipv4.tcp_wmem",
	}
}

// mounted is a directory of the pod, with its volume's name.
type mounted struct {
	path, name string
	claim      string // the claim's name; empty: it is in memory
	subPath    string // the directory in the volume; empty: the volume's root
}

// kept is what of the volume the service sees where the image has files for it: a directory that the service's user
// has made, so that it belongs to that user, has the image's mode, and appears with all of its files or not at all.
const kept = "kept"

// claimed are the directories that are kept, each with a claim.
func (p *Proof) claimed() []mounted {
	var all []mounted
	taken := profile.Names{}
	for _, v := range p.volumes() {
		if !sayable(v.Path) {
			continue
		}
		name := taken.Take(label(v.name))
		m := mounted{path: v.Path, name: name, claim: name}
		if v.Content {
			m.subPath = kept
		}
		all = append(all, m)
	}
	return all
}

// mounts are all directories of the service's container.
func (p *Proof) mounts() []mounted {
	all := p.claimed()
	taken := profile.Names{}
	for _, m := range all {
		taken[m.name] = true
	}
	for _, t := range p.Profile.Tmpfs {
		if sayable(t.Path) {
			all = append(all, mounted{path: t.Path, name: taken.Take(label("tmpfs-" + t.Path))})
		}
	}
	return all
}

// claim is the claim of a directory that is kept.
func (p *Proof) claim(m mounted) *yaml.Node {
	return object(
		field{key: "apiVersion", value: text("v1")},
		field{key: "kind", value: text("PersistentVolumeClaim")},
		field{key: "metadata", value: object(
			field{key: "name", value: text(m.claim)},
			field{key: "labels", value: p.labels()},
		)},
		field{key: "spec", value: object(
			field{key: "accessModes", value: inline(list(text("ReadWriteOnce")))},
			field{
				key: "resources", comment: "# how much it needs is not known: choose",
				value: object(field{key: "requests", value: object(field{key: "storage", value: text("1Gi")})}),
			},
		)},
	)
}

// labels are what the Deployment finds its pods by.
func (p *Proof) labels() *yaml.Node {
	return object(field{key: "app.kubernetes.io/name", value: text(p.name())})
}

// deployment is the Deployment.
func (p *Proof) deployment() *yaml.Node {
	var strategy *yaml.Node
	if len(p.claimed()) > 0 {
		strategy = object(field{key: "type", value: text("Recreate")})
	}
	return object(
		field{key: "apiVersion", value: text("apps/v1")},
		field{key: "kind", value: text("Deployment")},
		field{key: "metadata", value: object(
			field{key: "name", value: text(p.name())},
			field{key: "labels", value: p.labels()},
		)},
		field{key: "spec", value: object(
			field{key: "replicas", value: number(1)},
			field{key: "strategy", value: strategy, comment: "# no two pods with the same files"},
			field{key: "selector", value: object(field{key: "matchLabels", value: p.labels()})},
			field{key: "template", value: object(
				field{key: "metadata", value: object(field{key: "labels", value: p.labels()})},
				field{key: "spec", value: p.pod()},
			)},
		)},
	)
}

// pod is the pod.
func (p *Proof) pod() *yaml.Node {
	return object(
		field{key: "automountServiceAccountToken", value: boolean(false)},
		field{key: "securityContext", value: p.podSecurity()},
		field{
			key: "initContainers", comment: "# A new volume is empty: it begins with the files that the image has there.",
			value: list(p.initContainers()...),
		},
		field{key: "containers", value: list(p.container())},
		field{key: "volumes", value: list(mapped(p.mounts(), podVolume)...)},
	)
}

// podVolume is the volume of a directory.
func podVolume(m mounted) *yaml.Node {
	if m.claim != "" {
		return object(
			field{key: "name", value: text(m.name)},
			field{key: "persistentVolumeClaim", value: object(field{key: "claimName", value: text(m.claim)})},
		)
	}
	return object(
		field{key: "name", value: text(m.name)},
		field{key: "emptyDir", value: object(field{key: "medium", value: text("Memory")})},
	)
}

// podSecurity is what holds for all of the pod's containers.
func (p *Proof) podSecurity() *yaml.Node {
	uid, gid, _ := p.Profile.IDs() // checked before
	all := p.sysctls()
	sysctls := mapped(slices.Sorted(maps.Keys(all)), func(name string) *yaml.Node {
		return object(field{key: "name", value: text(name)}, field{key: "value", value: quoted(all[name])})
	})
	return object(
		field{key: "runAsNonRoot", value: boolean(uid != 0)},
		field{key: "runAsUser", value: number(uint64(uid))},
		field{key: "runAsGroup", value: number(uint64(gid))},
		field{key: "fsGroup", value: number(uint64(gid))},
		field{
			key: "fsGroupChangePolicy", comment: "# or each start would give the group access to the files that the service keeps from it",
			value: text("OnRootMismatch"),
		},
		field{key: "seccompProfile", value: object(field{key: "type", value: text("RuntimeDefault")})},
		field{key: "sysctls", value: list(sysctls...)},
	)
}

// container is the service's.
func (p *Proof) container() *yaml.Node {
	return object(
		field{key: "name", value: text(p.name())},
		field{key: "image", value: text(p.image())},
		field{key: "securityContext", value: p.containerSecurity(&p.Profile, p.filterReference())},
		field{key: "ports", value: list(mapped(p.ports(), func(t port) *yaml.Node {
			n, _ := strconv.ParseUint(t.number, 10, 16) // it was made of one
			return object(
				field{key: "containerPort", value: number(n)},
				field{key: "protocol", value: text(strings.ToUpper(t.protocol))},
			)
		})...)},
		field{key: "volumeMounts", value: list(mapped(p.mounts(), mount)...)},
	)
}

// mount is a volume's place in the service's container.
func mount(m mounted) *yaml.Node {
	var subPath *yaml.Node
	if m.subPath != "" {
		subPath = text(m.subPath)
	}
	return object(
		field{key: "name", value: text(m.name)},
		field{key: "mountPath", value: text(m.path)},
		field{key: "subPath", value: subPath},
	)
}

// filterReference is the service's filter; nil: the pod's.
func (p *Proof) filterReference() *yaml.Node {
	if len(p.Syscalls) == 0 {
		return nil
	}
	return object(
		field{key: "type", value: text("Localhost")},
		field{key: "localhostProfile", value: text(p.localhostProfile())},
	)
}

// containerSecurity is the securityContext of a container with what f gives.
func (p *Proof) containerSecurity(f *profile.Profile, filter *yaml.Node) *yaml.Node {
	return object(
		field{key: "allowPrivilegeEscalation", value: boolean(f.Escalates)},
		field{key: "readOnlyRootFilesystem", value: boolean(!f.ReadWrite)},
		field{key: "capabilities", value: object(
			field{key: "drop", value: inline(list(text("ALL")))},
			field{key: "add", value: inline(list(mapped(f.Capabilities, func(c string) *yaml.Node { return text(dockerCapability(c)) })...))},
		)},
		field{key: "seccompProfile", value: filter},
	)
}

// fill copies what the image has at $1 into an empty volume. It is repeated until it has been done as a whole once.
const fill = `test -e /new/` + kept + ` || { rm -rf /new/.part && cp -Rp "$1" /new/.part && mv /new/.part /new/` + kept + `; }`

// fillCapabilities are what root needs to copy files with their owners. A user needs none: all become its own.
func (p *Proof) fillCapabilities() []string {
	filled := slices.ContainsFunc(p.claimed(), func(m mounted) bool { return m.subPath != "" })
	if !p.isRoot() || !filled {
		return nil
	}
	return []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER"}
}

// initContainers fill the volumes for which the image has files. They need a shell in the image.
func (p *Proof) initContainers() []*yaml.Node {
	var all []*yaml.Node
	taken := profile.Names{p.name(): true}
	for _, m := range p.claimed() {
		if m.subPath == "" {
			continue
		}
		all = append(all, object(
			field{key: "name", value: text(taken.Take(label("fill-" + m.name)))},
			field{key: "image", value: text(p.image())},
			field{key: "command", value: list(mapped([]string{"sh", "-c", fill, "sh", m.path}, text)...)},
			field{key: "securityContext", value: p.containerSecurity(&profile.Profile{Capabilities: p.fillCapabilities()}, nil)},
			field{key: "volumeMounts", value: list(mount(mounted{path: "/new", name: m.name}))},
		))
	}
	return all
}
