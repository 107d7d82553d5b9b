package users

// File is one of the two files.
type File int

// The files.
const (
	Passwd File = iota
	Group
)

// step is what happened to a database: a change, or a file that was put there.
type step struct {
	Change
	file File
	// put gives the database whose file it is now; nil: the step is a change. With reading false, nothing is
	// transferred for it.
	put func(reading bool) *tables
}

// Write puts a file with this content into the image.
func (d *DB) Write(file File, content []byte) {
	var t *tables
	if file == Passwd {
		t = parse(content, nil)
	} else {
		t = parse(nil, content)
	}
	d.add(step{file: file, put: func(bool) *tables { return t }})
}

// Copy puts the file of another image into this one, as the other is now.
func (d *DB) Copy(file File, from *DB) {
	from = from.freeze()
	d.copied = d.copied || !from.isCheap()
	d.add(step{file: file, put: func(reading bool) *tables {
		if reading {
			return from.tables()
		}
		return from.unread()
	}})
}

// freeze is a copy that stays as it is, one for all who ask: images that take files from each other's images would
// otherwise have each of them worked out again and again.
func (d *DB) freeze() *DB {
	if d.frozen == nil {
		d.frozen = d.Clone()
	}
	return d.frozen
}

func (d *DB) add(s step) {
	d.steps = append(d.steps, s)
	d.now, d.seen, d.frozen = nil, nil, nil
}

// do makes a step.
func (t *tables) do(s step, reading bool) {
	if s.put == nil {
		t.apply(s.Change)
		return
	}
	from := s.put(reading).clone()
	if s.file == Passwd {
		t.users, t.passwdErr, t.family, t.passwdOpen = from.users, from.passwdErr, from.family, from.passwdOpen
	} else {
		t.groups, t.groupErr, t.groupOpen = from.groups, from.groupErr, from.groupOpen
	}
}

// unread is what is known without a transfer.
func (d *DB) unread() *tables {
	if d.now != nil {
		return d.now
	}
	if d.seen == nil {
		d.seen = unknown("")
		if d.base.cheap {
			d.seen = d.base.load().clone()
		}
		for _, s := range d.steps {
			d.seen.do(s, false)
		}
	}
	return d.seen
}

// isCheap reports whether reading everything costs no transfer.
func (d *DB) isCheap() bool { return d.base.cheap && !d.copied }
