package guard

// Subject is one thing that will run: an image of a Dockerfile, a service, a container of a pod, a unit.
type Subject struct {
	Kind  Kind
	Name  string   // "image", "service web", "Deployment web, container app"
	Where Location // where it is declared: the last FROM, the service's key, the container's list item

	User     User  // what it starts as
	UserSlot *Slot // where this document sets that user, or would; nil: nowhere, as in an image
	Drop     *Drop // the start-up program gives up root by itself; nil: not known to

	Image     string     // the image of a service or container, or the base image of a Dockerfile; empty: none, scratch
	ImageAt   Location   // where it is named
	Build     string     // the Dockerfile that a compose service is built from
	Command   Command    // what starts: ENTRYPOINT and CMD, or what replaces them
	Ports     []Port     // ports it says it listens on
	Variables []Variable // ENV, ARG, environment
	Steps     []Step     // what RUN, COPY and ADD do to the image that results, parents' steps included
	Contents  *Contents  // what the image's layers hold; nil: nobody looked
	Grants    []Grant    // what whoever runs it gives it beyond docker's or the kubelet's default

	// RunAsNonRoot says that Kubernetes verifies the user: a named USER or root is then not started.
	RunAsNonRoot *Grant
	Violations   []Violation // of Kubernetes' Pod Security Standards
}

// Slot is a place of a document that holds a value, or would hold it: what fixes write to.
type Slot struct {
	// At is what the value replaces with Before and After around it: the argument of USER, the scalar of user:
	// with its quotes. Where its end is its start nothing is replaced: it is the place for a new line, in a
	// Dockerfile before the first CMD or ENTRYPOINT of the last stage, or behind its last instruction.
	At Location
	// Before and After complete the text: "USER " and "\n", `user: "` and `"` with indentation.
	Before, After string
}

// Put is the edit that writes a value into the slot.
func (s Slot) Put(value string) Edit { return Edit{At: s.At, Text: s.Before + value + s.After} }

// Command is what starts.
type Command struct {
	Args  []string // argv; of a shell form {"/bin/sh", "-c", line}
	Shell bool     // it is a line for a shell
	Where Location
}

// Port is a port that a subject says it listens on.
type Port struct {
	Number   int
	Protocol string // "tcp", "udp", "sctp"
	Where    Location
}

// Variable is an environment variable or a build argument.
type Variable struct {
	Name, Value string
	Arg         bool // ARG: it stays in the image's history
	Where       Location
}

// Step is what one instruction does to the image that rules care for.
type Step struct {
	Where    Location
	Manager  string      // the package manager it runs: "apt-get"; empty: none
	Installs []string    // packages it installs, and tools it fetches by name
	Removes  []string    // packages and programs it removes
	Setuid   []string    // paths it makes setuid, setgid, or gives capabilities
	Opens    []string    // paths it makes writable for everybody (chmod 777, a+w, o+w), /tmp and the like left out
	Gives    []Ownership // paths it hands to a user who is not root
	Sudoers  bool        // it lets somebody use sudo without a password
}

// Ownership is a path given to a user.
type Ownership struct {
	Path      string // absolute, or as written where the working directory is not known
	Owner     string // as written: "app:app", "1000"
	Recursive bool   // chown -R, and COPY --chown
	Copy      bool   // by COPY or ADD --chown: the content is the application's own
}

// GrantKind is a kind of privilege that a manifest or command line gives.
type GrantKind string

// The kinds of privileges. Value is, for each:
const (
	GrantPrivileged    GrantKind = "privileged"   // "true"
	GrantCapability    GrantKind = "capability"   // an added capability without CAP_, upper case: "NET_RAW", "ALL"
	GrantNamespace     GrantKind = "namespace"    // a namespace of the host: "pid", "network", "ipc", "uts", "user", "cgroup"
	GrantEscalation    GrantKind = "escalation"   // "true": setuid programs and file capabilities work, said so in the document
	GrantUnconfined    GrantKind = "unconfined"   // what was switched off: "seccomp", "apparmor", "label", "systempaths"
	GrantMount         GrantKind = "mount"        // a path of the host: "/var/run/docker.sock"
	GrantDevice        GrantKind = "device"       // a device of the host: "/dev/kmsg", "all"
	GrantSysctl        GrantKind = "sysctl"       // NAME=VALUE
	GrantDropped       GrantKind = "dropped"      // a capability taken away: "ALL"; no privilege, but rules ask
	GrantNoEscalation  GrantKind = "no-new-privs" // "true": no_new_privs, or allowPrivilegeEscalation: false
	GrantReadOnlyRoot  GrantKind = "read-only"    // "true"
	GrantReadOnlyMount GrantKind = "mount-ro"     // as GrantMount, read only
)

// Grant is one privilege.
type Grant struct {
	Kind  GrantKind
	Value string
	Where Location
}

// GrantsOf are the subject's grants of one kind.
func (s *Subject) GrantsOf(kind GrantKind) []Grant {
	var found []Grant
	for _, g := range s.Grants {
		if g.Kind == kind {
			found = append(found, g)
		}
	}
	return found
}

// Violation is what the Pod Security Standards forbid.
type Violation struct {
	Level  string // "baseline" or "restricted", the least level that forbids it
	Reason string // the evaluator's: "privileged"
	Detail string // the evaluator's: `container "a" must not set securityContext.privileged=true`
	Where  Location
}
