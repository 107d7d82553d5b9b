package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/oci"
)

// What is done with a container that would be root unasked.
const (
	rootAllow  = "allow"
	rootWarn   = "warn"
	rootRefuse = "refuse"
)

// rootPolicy is --root-user, DECKHAND_ROOT_USER, or refuse.
func (a *app) rootPolicy() (string, error) {
	from, p := "--root-user", a.rootUser
	if p == "" {
		from, p = "DECKHAND_ROOT_USER", os.Getenv("DECKHAND_ROOT_USER")
	}
	switch p {
	case "":
		return rootRefuse, nil
	case rootAllow, rootWarn, rootRefuse:
		return p, nil
	}
	return "", fmt.Errorf("invalid %s %q: allow, warn or refuse", from, p)
}

// userNamed reports whether -u names a user; ":group" alone does not.
func userNamed(user string) bool {
	name, _, _ := strings.Cut(user, ":")
	return name != ""
}

// rootCheck decides on a container's resolved user.
type rootCheck struct {
	Policy    string
	Image     string // as typed
	ImageUser string // the image's USER
	Asked     bool   // a user was named on the command line
}

// checker is the check, for the engine; warnings go to note.
func (c rootCheck) checker(note func(string, ...any)) func(oci.User) error {
	return func(u oci.User) error {
		if u.UID != 0 || c.Asked || c.Policy == rootAllow {
			return nil
		}
		if c.Policy == rootWarn {
			note("deckhand: warning: %s runs as root: %s", c.Image, c.reason())
			return nil
		}
		return c.refusal()
	}
}

// reason says why the user is root.
func (c rootCheck) reason() string {
	if c.ImageUser == "" {
		return "the image sets no USER"
	}
	return "the image sets USER " + c.ImageUser
}

// errRootRefused marks the refusal.
var errRootRefused = errors.New("would run as root")

// refusal names the three ways out.
func (c rootCheck) refusal() error {
	return hint.With(fmt.Errorf("%s %w: %s", c.Image, errRootRefused, c.reason()),
		"run it as an unprivileged user:  deckhand run -u 9000 "+c.Image,
		"make that the image's default:   add `USER 9000` to its Dockerfile and deckhand build it again",
		"run it as root this once:        deckhand run -u root "+c.Image)
}
