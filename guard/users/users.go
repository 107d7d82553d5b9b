// Package users is the user database of an image, while it is being built: etc/passwd and etc/group as a base
// image has them, and what RUN steps add. It resolves USER as docker does (moby/sys/user), and says so where that
// cannot be done.
package users

import "github.com/deckhand-engine/deckhand/guard"

// DB is what is known of an image's users. It is not safe for use by several goroutines.
type DB struct{}

// Parse is the database of two files' contents; nil is a missing file.
func Parse(passwd, group []byte) *DB { return &DB{} }

// Lazy is the database of an image whose files are read when they are needed: for a name, and where cheap says
// that reading costs no transfer for a number as well. read is called at most once.
func Lazy(cheap bool, read func() (passwd, group []byte, err error)) *DB { return &DB{} }

// Unknown is the database of an image of which nothing is known; why fits into [guard.User.Unknown].
func Unknown(why string) *DB { return &DB{} }

// Clone is a copy that can be changed by itself.
func (d *DB) Clone() *DB { return &DB{} }

// Apply makes a change, as a RUN step does.
func (d *DB) Apply(c Change) {}

// Resolve works out what USER spec ("", "app", "1000", "app:audio", "0:0") is. Where, Raw, From and Inherited of
// the result are left to the caller.
func (d *DB) Resolve(spec string) guard.User { return guard.User{Spec: spec} }

// ChangeKind is what a change does.
type ChangeKind int

// The kinds of changes.
const (
	AddUser     ChangeKind = iota // useradd, adduser, a line appended to etc/passwd
	AddGroup                      // groupadd, addgroup
	AddMember                     // usermod -aG, adduser USER GROUP
	RemoveUser                    // userdel, deluser
	RemoveGroup                   // groupdel, delgroup
	SetUser                       // usermod: those of UID, GID and Group that are set
	Replaced                      // etc/passwd or etc/group was written by something that cannot be followed; Why says by what
)

// Change is one change of the database.
type Change struct {
	Kind           ChangeKind
	Name           string   // of the user or group
	UID            guard.ID // AddUser; zero value and !HasUID: chosen by the program that adds
	GID            guard.ID
	Group          string // primary group by name, or the group of AddMember
	HasUID, HasGID bool
	Home           string
	Why            string
}
