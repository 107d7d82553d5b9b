package users

import "github.com/deckhand-engine/deckhand/guard"

// ChangeKind is what a change does.
type ChangeKind int

// The kinds of changes.
const (
	AddUser     ChangeKind = iota // useradd, adduser, a line appended to etc/passwd
	AddGroup                      // groupadd, addgroup
	AddMember                     // usermod -aG, adduser USER GROUP
	RemoveUser                    // userdel, deluser
	RemoveGroup                   // groupdel, delgroup
	SetUser                       // usermod: those of UID, GID, Group and NewName that are set
	Replaced                      // etc/passwd or etc/group was written by something that cannot be followed; Why says by what
	SetGroup                      // groupmod: those of GID and NewName that are set
	Emptied                       // the file Name, "passwd" or "group", is removed, or all it holds
	Defaults                      // etc/login.defs or the like is changed: ids are chosen from other ranges
)

// Change is one change of the database.
type Change struct {
	Kind ChangeKind
	// Name is that of the user or group. AddUser and AddGroup without a name add any number of entries that
	// nobody can name: a package's, with ids in the range of UID and GID. Replaced takes "passwd" or "group" for
	// the one file; no name is both.
	Name           string
	UID            guard.ID // AddUser; zero value and !HasUID: chosen by the program that adds
	GID            guard.ID
	Group          string // primary group by name, or the group of AddMember
	HasUID, HasGID bool
	Home           string
	Why            string // why an id that is not exact is not known; fits into [guard.User.Unknown]

	By      Program // the program that adds; it decides how ids are chosen, and what it refuses
	System  bool    // useradd -r, adduser --system: an id of the system's range
	Own     Own     // whether a user gets a group of the same name
	NewName string  // SetUser, SetGroup
	Maybe   bool    // done under a condition only, as of "id app || useradd app"

	NonUnique bool // -o: the id may be another's as well
	IfFree    bool // groupadd -f: another gid is chosen where GID is somebody's
	Unended   bool // the line has no end: what is appended next continues it
	Elevated  bool // done by sudo or the like, whoever the step runs as
}

// Program is what adds an entry.
type Program int

// The programs.
const (
	ByLine     Program = iota // a line is appended, whatever the file holds
	ByShadow                  // useradd, groupadd
	ByDebian                  // Debian's adduser, addgroup
	ByBusyBox                 // BusyBox's adduser, addgroup
	ByAdduser                 // adduser or addgroup, and the words do not say whose
	ByPackages                // a package manager's scripts
)

// Own says whether a user gets a group of the same name, where no group is given.
type Own int

// What a user gets.
const (
	OwnDefault Own = iota // what the program does by itself
	OwnGroup              // useradd -U, adduser --system --group
	NoOwnGroup            // useradd -N
)
