//go:build windows

package platform

import (
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"unsafe" // the size of a struct of the system, and the identifier behind an entry of an access list

	"golang.org/x/sys/windows"
)

// A mode of Linux becomes an access control list. The user who makes a file is its owner, also in a
// program that runs as administrator. The group is the primary group of the user: all users of a
// domain, or all local users. Everyone stands for others. The system and the administrators have
// every right, as root has on Linux. Only they and the owner may rename or remove the file.
//
// The primary group of a service or of a Microsoft account may be the user. Such a file has no
// group: the bits of the group count for nothing, and read back as 0.

// The rights of a class of users, by its bits in the mode.
const (
	rightsOfOwner  = windows.DELETE | windows.READ_CONTROL | windows.WRITE_DAC | windows.SYNCHRONIZE
	rightsOfFile   = 0x1f01ff // FILE_ALL_ACCESS
	readFile       = windows.FILE_GENERIC_READ
	writeFile      = windows.FILE_GENERIC_WRITE
	readData       = 1 // FILE_READ_DATA
	writeData      = 2 // FILE_WRITE_DATA
	rightsOfEvent  = 0x1f0003
	signalAndSleep = windows.SYNCHRONIZE | windows.EVENT_MODIFY_STATE
)

// accounts are a user and its primary group: those of this program, or those of a file.
type accounts struct{ user, group *windows.SID }

var account = sync.OnceValues(func() (accounts, error) {
	token := windows.GetCurrentProcessToken()
	user, err := token.GetTokenUser()
	if err != nil {
		return accounts{}, err
	}
	group, err := token.GetTokenPrimaryGroup()
	if err != nil {
		return accounts{}, err
	}
	return accounts{user.User.Sid, group.PrimaryGroup}, nil
})

// EffectiveUID is the number of the user who owns the files which this program makes.
func EffectiveUID() uint32 {
	own, err := account()
	if err != nil {
		return 0
	}
	return numberOf(own.user)
}

// numberOf makes a number of 32 bits of an account. It is a hash of the whole identifier: the last
// part alone, the relative identifier, is the same for the first user of every machine and every
// domain. 0 stands for an account that is not known.
func numberOf(sid *windows.SID) uint32 {
	if sid == nil {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(sid.String()))
	return max(h.Sum32(), 1)
}

// entry is one entry of an access control list in the language of the system (SDDL).
func entry(rights uint32, who string) string { return fmt.Sprintf("(A;;0x%x;;;%s)", rights, who) }

// rights returns what a class of users may do with a file, by three bits of the mode.
func rights(bits uint32) (mask uint32) {
	if bits&4 != 0 {
		mask |= readFile
	}
	if bits&2 != 0 {
		mask |= writeFile
	}
	return mask
}

// hasGroup reports whether the group is another account than the user.
func (a accounts) hasGroup() bool {
	return a.user != nil && a.group != nil && !a.group.Equals(a.user)
}

// accessList is a list in the language of the system. all are the rights of the system and of
// administrators, owner those of the owner; class returns those of a class by its bits.
func (a accounts) accessList(mode, all, owner uint32, class func(bits uint32) uint32) string {
	list := "D:P" + entry(all, "SY") + entry(all, "BA") + entry(owner, a.user.String())
	if mask := class(mode >> 3 & 7); mask != 0 && a.hasGroup() {
		list += entry(mask, a.group.String())
	}
	if mask := class(mode & 7); mask != 0 {
		list += entry(mask, "WD")
	}
	return list
}

// attributes are what a call that makes an object takes.
func attributes(security string) (*windows.SecurityAttributes, error) {
	descriptor, err := windows.SecurityDescriptorFromString(security)
	if err != nil {
		return nil, err
	}
	a := &windows.SecurityAttributes{SecurityDescriptor: descriptor}
	a.Length = uint32(unsafe.Sizeof(*a))
	return a, nil
}

// fileSecurity is the access control of a file with this mode that these accounts own.
func fileSecurity(own accounts, mode uint32) (*windows.SecurityAttributes, error) {
	list := own.accessList(mode, rightsOfFile, rightsOfOwner|rights(mode>>6&7), rights)
	return attributes(fmt.Sprintf("O:%sG:%s%s", own.user, own.group, list))
}

// eventSecurity is the access control of the events of a file with this mode that these accounts
// own: a user who may read the file may sleep and wake others. The process that makes an event owns
// the event. Windows allows a process to make only its own user the owner.
func eventSecurity(of accounts, mode uint32) (*windows.SecurityAttributes, error) {
	return attributes(of.accessList(mode, rightsOfEvent, rightsOfEvent, func(bits uint32) uint32 {
		if bits == 0 {
			return 0
		}
		return signalAndSleep
	}))
}

// accessOf reads the accounts and the mode of an open file back. Without an answer of the system it
// returns none, and 0.
func accessOf(h windows.Handle) (of accounts, mode uint32) {
	const wanted = windows.OWNER_SECURITY_INFORMATION | windows.GROUP_SECURITY_INFORMATION |
		windows.DACL_SECURITY_INFORMATION
	descriptor, err := windows.GetSecurityInfo(h, windows.SE_FILE_OBJECT, wanted)
	if err != nil {
		return accounts{}, 0
	}
	of.user, _, _ = descriptor.Owner()
	of.group, _, _ = descriptor.Group()
	list, _, err := descriptor.DACL()
	if err != nil || list == nil {
		return of, 0o666 // a file without a list is open to everyone
	}
	return of, of.modeOf(list)
}

// modeOf is what a list grants to the owner, the primary group of the owner, and everyone. Other
// entries count for nothing. So do the entries that give the system and the administrators every
// right, although one of them may be the owner or the group.
func (a accounts) modeOf(list *windows.ACL) (mode uint32) {
	classes := map[uint32]*windows.SID{6: a.user, 0: wellKnown(windows.WinWorldSid)}
	if a.hasGroup() {
		classes[3] = a.group
	}
	all := []*windows.SID{wellKnown(windows.WinLocalSystemSid), wellKnown(windows.WinBuiltinAdministratorsSid)}
	for i := range uint32(list.AceCount) {
		var ace *windows.ACCESS_ALLOWED_ACE
		if windows.GetAce(list, i, &ace) != nil || ace.Header.AceType != windows.ACCESS_ALLOWED_ACE_TYPE {
			continue
		}
		who := (*windows.SID)(unsafe.Pointer(&ace.SidStart)) // the entry's last field, of variable length
		same := func(sid *windows.SID) bool { return sid != nil && who.Equals(sid) }
		if ace.Mask == rightsOfFile && slices.ContainsFunc(all, same) {
			continue
		}
		for shift, class := range classes {
			if same(class) {
				mode |= bitsOf(uint32(ace.Mask)) << shift
			}
		}
	}
	return mode
}

// wellKnown is an account that every machine has. nil: the system does not say it.
func wellKnown(kind windows.WELL_KNOWN_SID_TYPE) *windows.SID {
	sid, err := windows.CreateWellKnownSid(kind)
	if err != nil {
		return nil
	}
	return sid
}

func bitsOf(mask uint32) (bits uint32) {
	if mask&readData != 0 {
		bits |= 4
	}
	if mask&writeData != 0 {
		bits |= 2
	}
	return bits
}
