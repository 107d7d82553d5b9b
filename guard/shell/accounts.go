package shell

import (
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/users"
)

// The options of the programs that change users.
const (
	useraddOptions = "b|base-dir: c|comment: d|home-dir: D|defaults e|expiredate: f|inactive: F|add-subids-for-system g|gid: " +
		"G|groups: k|skel: K|key: l|no-log-init m|create-home M|no-create-home N|no-user-group o|non-unique p|password: " +
		"r|system R|root: P|prefix: s|shell: u|uid: U|user-group Z|selinux-user: badname btrfs-subvolume-home"
	usermodOptions = "a|append b|badname c|comment: d|home: e|expiredate: f|inactive: g|gid: G|groups: l|login: L|lock m|move-home " +
		"o|non-unique p|password: P|prefix: r|remove R|root: s|shell: u|uid: U|unlock v|add-subuids: V|del-subuids: " +
		"w|add-subgids: W|del-subgids: Z|selinux-user:"
	groupaddOptions = "f|force g|gid: K|key: n|new-name: o|non-unique p|password: r|system R|root: P|prefix: U|users: a|append"
	userdelOptions  = "f|force r|remove R|root: P|prefix: Z|selinux-user"
	// adduserOptions are those of BusyBox, of Debian's and of useradd, which Red Hat calls so as well. -G and -g
	// mean different things.
	adduserOptions = "h|home|home-dir: gecos|comment|c: s|shell: G: ingroup: D|disabled-password|empty-password S system|r H|no-create-home|M u|uid: k|skel: " +
		"g: gid: group disabled-login conf: firstuid: lastuid: firstgid: lastgid: add-extra-groups|add_extra_groups " +
		"allow-all-names allow-badname allow-bad-names force-badname quiet|q verbose debug encrypt-home " +
		"b|base-dir: d: e|expiredate: f|inactive: K|key: l m|create-home N|no-user-group o|non-unique p|password: R|root: P|prefix: U|user-group Z|selinux-user:"
	deluserOptions = "remove-home remove-all-files backup backup-to: force group system quiet|q only-if-empty debug conf:"
)

// account is a program that changes users and groups.
func (e *effects) account(name string, c call) {
	args := c.argv[1:]
	switch name {
	case "useradd":
		e.useradd(args)
	case "adduser":
		e.adduser(args)
	case "groupadd":
		e.groupadd(args)
	case "addgroup":
		e.addgroup(args)
	case "usermod":
		e.usermod(args)
	case "groupmod":
		e.groupmod(args)
	case "userdel", "groupdel":
		e.remove(parseOptions(userdelOptions, args, false), name == "groupdel")
	case "deluser", "delgroup":
		e.delete(parseOptions(deluserOptions, args, false), name == "delgroup")
	case "newusers", "vipw", "vigr":
		e.stranger(name)
	case "gpasswd":
		e.gpasswd(args)
	}
}

// elsewhere reports whether other files than the image's are changed.
func elsewhere(o options) bool {
	for _, name := range []string{"R", "P"} {
		if dir, ok := o.last(name); ok && dir != "/" {
			return true
		}
	}
	return false
}

// id reads the argument of an option that takes a number. One that is not known is not root's, where the program
// refuses an id that is taken.
func id(o options, option, word string) (guard.ID, string) {
	if n, ok := parseID(word); ok {
		return n, ""
	}
	why := shown(word) + ", the argument of its " + dashed(option) + ", is not known"
	if o.has("o") {
		return guard.AnyID(), why
	}
	return notRoot(), why
}

func dashed(option string) string {
	if len(option) == 1 {
		return "-" + option
	}
	return "--" + option
}

// added is an AddUser by a program, with its uid.
func added(o options, by users.Program) users.Change {
	c := users.Change{Kind: users.AddUser, By: by, NonUnique: o.has("o")}
	if word, ok := o.last("u"); ok {
		c.UID, c.Why = id(o, "u", word)
		c.HasUID = true
	} else if o.has("K") || o.has("firstuid") || o.loose {
		c.UID, c.HasUID = notRoot(), true // the range is another, or nobody knows
		if o.loose && o.has("o") {
			c.UID, c.Why = guard.AnyID(), "its options are not known"
		}
	}
	if home, ok := o.last("d"); ok {
		c.Home = shown(home)
	}
	return c
}

// group sets the primary group: a number or a name.
func group(c *users.Change, word string) {
	switch n, ok := parseID(word); {
	case ok:
		c.GID, c.HasGID = n, true
	case known(word):
		c.Group = word
	default:
		c.GID, c.HasGID = guard.AnyID(), true
	}
}

// finish gives the user its name. One whose name is not known may be any.
func (e *effects) finish(c users.Change, operands []string) {
	if len(operands) == 0 {
		return
	}
	name := operands[len(operands)-1]
	if !known(name) {
		if c.Why == "" {
			c.Why = "a user called " + shown(name) + " is added, which is not known"
		}
		if !c.HasUID {
			c.UID, c.HasUID = chosen(c.System), true
		}
		name = ""
	}
	c.Name = name
	e.change(c)
}

// chosen is the range that programs choose ids from.
func chosen(system bool) guard.ID {
	if system {
		return guard.ID{Least: 100, Most: 999}
	}
	return guard.ID{Least: 1000, Most: 60000}
}

func (e *effects) useradd(args []string) {
	o := parseOptions(useraddOptions, args, false)
	switch {
	case elsewhere(o):
		return
	case o.has("D"):
		if o.has("g") {
			e.change(users.Change{Kind: users.Defaults})
		}
		return
	}
	c := added(o, users.ByShadow)
	c.System = o.has("r")
	if o.has("N") {
		c.Own = users.NoOwnGroup
	}
	if word, ok := o.last("g"); ok {
		group(&c, word)
	}
	e.finish(c, o.operands)
}

// adduserBy tells whose adduser is meant by the options that only one has.
func adduserBy(o options, args []string) users.Program {
	short := func(letters string) bool {
		return slices.ContainsFunc(args, func(a string) bool {
			return len(a) > 1 && a[0] == '-' && strings.Contains(letters, a[1:2])
		})
	}
	_, numeric := parseID(first(o.last("g")))
	onlyDebian := slices.ContainsFunc([]string{"group", "gid", "disabled-login", "firstuid", "quiet", "conf", "add-extra-groups"}, o.has)
	switch {
	case short("SDHh") && !short("mrMNU"):
		return users.ByBusyBox
	case short("mrMNUdcopelbfK"), o.has("g") && (numeric || o.has("G")):
		return users.ByShadow
	case onlyDebian:
		return users.ByDebian
	case short("Gg"):
		return users.ByBusyBox
	}
	return users.ByAdduser
}

func first(word string, _ bool) string { return word }

func (e *effects) adduser(args []string) {
	o := parseOptions(adduserOptions, args, false)
	by := adduserBy(o, args)
	system := o.has("system") || o.has("S")
	switch {
	case elsewhere(o):
		return
	case len(o.operands) == 2 && !o.loose:
		e.change(users.Change{Kind: users.AddMember, Name: shown(o.operands[0]), Group: shown(o.operands[1])})
		return
	case o.has("group") && !system:
		e.addgroup(args)
		return
	}
	c := added(o, by)
	c.System = system
	c.Own = ownOf(o)
	if home, ok := o.last("h"); ok {
		c.Home = shown(home)
	}
	switch word, ok := primary(o, by); {
	case ok && by == users.ByBusyBox && known(word): // a number is a name there
		c.Group = word
	case ok:
		group(&c, word)
	}
	e.finish(c, o.operands)
}

// ownOf says whether an adduser is asked for a group of the user's name.
func ownOf(o options) users.Own {
	switch {
	case o.has("N"):
		return users.NoOwnGroup
	case o.has("group"):
		return users.OwnGroup
	}
	return users.OwnDefault
}

// primary is the primary group that an adduser is given.
func primary(o options, by users.Program) (string, bool) {
	if word, ok := o.last("ingroup"); ok {
		return word, true
	}
	if word, ok := o.last("gid"); ok {
		return word, true
	}
	if by == users.ByShadow {
		return o.last("g")
	}
	return o.last("G")
}

func (e *effects) groupadd(args []string) {
	o := parseOptions(groupaddOptions, args, false)
	if elsewhere(o) {
		return
	}
	c := users.Change{
		Kind: users.AddGroup, By: users.ByShadow, System: o.has("r"), NonUnique: o.has("o"), IfFree: o.has("f") && o.has("g"),
	}
	e.addedGroup(c, o, "g")
}

func (e *effects) addedGroup(c users.Change, o options, option string) {
	if word, ok := o.last(option); ok {
		c.GID, c.Why = id(o, option, word)
		c.HasGID = true
	} else if o.has("K") || o.has("firstgid") || o.loose {
		c.GID, c.HasGID = notRoot(), true
	}
	if len(o.operands) == 0 {
		return
	}
	name := o.operands[len(o.operands)-1]
	if !known(name) {
		if !c.HasGID {
			c.GID, c.HasGID = chosen(c.System), true
		}
		name = ""
	}
	c.Name = name
	e.change(c)
}

func (e *effects) addgroup(args []string) {
	o := parseOptions("g|gid: S|system r firstgid: lastgid: quiet|q debug conf: force-badname allow-bad-names allow-badname group", args, false)
	if len(o.operands) == 2 && !o.loose {
		e.change(users.Change{Kind: users.AddMember, Name: shown(o.operands[0]), Group: shown(o.operands[1])})
		return
	}
	c := users.Change{Kind: users.AddGroup, By: users.ByAdduser, System: o.has("S")}
	e.addedGroup(c, o, "g")
}

func (e *effects) usermod(args []string) {
	o := parseOptions(usermodOptions, args, false)
	if len(o.operands) == 0 || elsewhere(o) {
		return
	}
	name := o.operands[len(o.operands)-1]
	c := users.Change{Kind: users.SetUser, Name: name, NonUnique: o.has("o")}
	if word, ok := o.last("u"); ok {
		c.UID, c.Why = id(o, "u", word)
		c.HasUID = true
	}
	if word, ok := o.last("g"); ok {
		group(&c, word)
	}
	c.NewName = shown(first(o.last("l")))
	c.Home = shown(first(o.last("d")))
	if groups, ok := o.last("G"); ok {
		e.change(users.Change{Kind: users.AddMember, Name: shown(name), Group: shown(groups)})
	}
	if !c.HasUID && !c.HasGID && c.Group == "" && c.NewName == "" {
		return
	}
	if !known(name) || !known(first(o.last("l"))) {
		c = users.Change{Kind: users.Replaced, Name: "passwd", Why: "usermod changes a user whose name is not known"}
	}
	e.change(c)
}

func (e *effects) groupmod(args []string) {
	o := parseOptions(groupaddOptions, args, false)
	if len(o.operands) == 0 || elsewhere(o) || !o.has("g") && !o.has("n") {
		return
	}
	c := users.Change{Kind: users.SetGroup, Name: o.operands[len(o.operands)-1], NonUnique: o.has("o")}
	if word, ok := o.last("g"); ok {
		c.GID, c.Why = id(o, "g", word)
		c.HasGID = true
	}
	c.NewName = first(o.last("n"))
	if !known(c.Name) || !known(c.NewName) {
		c = users.Change{Kind: users.Replaced, Name: "group", Why: "groupmod changes a group whose name is not known"}
	}
	e.change(c)
}

func (e *effects) remove(o options, ofGroup bool) {
	if len(o.operands) == 0 || elsewhere(o) {
		return
	}
	kind, file := users.RemoveUser, "passwd"
	if ofGroup {
		kind, file = users.RemoveGroup, "group"
	}
	name := o.operands[len(o.operands)-1]
	if !known(name) {
		e.change(users.Change{Kind: users.Replaced, Name: file, Why: "a user or group whose name is not known is removed"})
		return
	}
	e.change(users.Change{Kind: kind, Name: name})
}

// delete is deluser and delgroup, which take a user out of a group where they are given both.
func (e *effects) delete(o options, ofGroup bool) {
	if len(o.operands) == 2 {
		return
	}
	e.remove(o, ofGroup || o.has("group"))
}

func (e *effects) gpasswd(args []string) {
	o := parseOptions("a|add: d|delete: M|members: A|administrators: r|remove-password R|restrict Q|root:", args, false)
	if user, ok := o.last("a"); ok && len(o.operands) > 0 {
		e.change(users.Change{Kind: users.AddMember, Name: shown(user), Group: shown(o.operands[0])})
	}
}
