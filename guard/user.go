package guard

import (
	"math"
	"strconv"
	"strings"
)

// MaxID is the greatest uid or gid that docker accepts.
const MaxID = math.MaxInt32

// ID is what is known of a uid or gid: that it lies between Least and Most. The zero value is root's.
type ID struct {
	Least uint32 `json:"least"`
	Most  uint32 `json:"most"`
}

// Exactly is a known id.
func Exactly(n uint32) ID { return ID{n, n} }

// AnyID is an id of which nothing is known.
func AnyID() ID { return ID{0, MaxID} }

// Known reports whether the id is exactly known; it is Least then.
func (i ID) Known() bool { return i.Least == i.Most }

// Root reports whether the id is certainly 0.
func (i ID) Root() bool { return i.Most == 0 }

// NotRoot reports whether the id is certainly not 0.
func (i ID) NotRoot() bool { return i.Least > 0 }

// String is the number, "1000 to 60000", or "unknown".
func (i ID) String() string {
	switch {
	case i.Known():
		return strconv.FormatUint(uint64(i.Least), 10)
	case i == AnyID():
		return "unknown"
	}
	return strconv.FormatUint(uint64(i.Least), 10) + " to " + strconv.FormatUint(uint64(i.Most), 10)
}

// User is the user that something starts as, and how that is known.
type User struct {
	Spec  string   // as written where it is decided, variables expanded: "app", "0:0"; empty: nobody sets one
	Raw   string   // as written, variables not expanded; empty: like Spec
	Where Location // the line that decides; where none does, the FROM, image: or like line that leaves it open
	From  string   // who decides, if not this document: "base image nginx:1.27"; empty: this document, or nobody

	UID, GID  ID
	Name      string // name in the passwd file, where there is one for UID
	Alias     string // whose entry the number UID finds instead, where another one of the same uid stands before Name's
	GroupSet  bool   // the group was named, by USER u:g, group: or the like
	NoEntry   bool   // a number without a passwd entry, where the passwd file is known: gid 0 and HOME=/ follow
	Inherited bool   // decided by a base image or the image of a service, not by this document

	// Unknown is why UID is not known: "base image corp/base:1 is not known: …". It is empty where UID is
	// known, and where it is not known but certainly not root ("useradd chooses it").
	Unknown string
	// Missing is why the user cannot be resolved, so that nothing will start: docker's message, "unable to find
	// user app: no matching entries in passwd file".
	Missing string
}

// Root reports whether the user is certainly uid 0.
func (u User) Root() bool { return u.Missing == "" && u.UID.Root() }

// NotRoot reports whether the user is certainly not uid 0.
func (u User) NotRoot() bool { return u.Missing != "" || u.UID.NotRoot() }

// Named reports whether the user was given by name, not by number.
func (u User) Named() bool {
	name := u.UserPart()
	if name == "" {
		return false
	}
	_, err := strconv.Atoi(name)
	return err != nil
}

// UserPart is Spec without its group.
func (u User) UserPart() string {
	name, _, _ := strings.Cut(u.Spec, ":")
	return name
}

// GroupPart is the group of Spec, empty where there is none.
func (u User) GroupPart() string {
	_, group, _ := strings.Cut(u.Spec, ":")
	return group
}

// Drop is a start-up program that gives up root by itself.
type Drop struct {
	By    string   // "gosu", "su-exec", "setpriv", "s6-setuidgid", "su -c", "nginx's user directive"
	Spec  string   // the user it becomes, as written: "redis"
	To    ID       // its uid, as far as it is known
	Where Location // the line that does it; of a script in an image, the document that names the image
	// Script is the entrypoint script that does it, empty where ENTRYPOINT or CMD themselves do.
	Script string
	// Certain says that every way through the script drops; otherwise some do.
	Certain bool
}
