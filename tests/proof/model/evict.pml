/* One consumer row, whose living owner an operator may evict (docs/protocol.md section 4): which
 * process may empty the row, and which one owns it then. The model of the row has the state, the
 * generation, a mask bit and a hazard pointer. */

#define FREE 0
#define ATTACHING 1
#define ACTIVE 2
#define EVICTING 3

byte rstate;
byte rinc;               /* generation (incarnation) */
bit  rbit;               /* the producer reads this row */
byte rpin;
byte rlock, rclean;      /* the lease, and CLEANING: free, or the holder */

#ifdef MUT_EVICT_ONE_STATE
#define MARK ATTACHING
#else
#define MARK EVICTING
#endif

inline drop(what)
{
	if
	:: what == me -> what = 0
	:: else
	fi
}

/* EmptyRow: the bits first, the state last. */
inline emptyRow()
{
	rbit = 0;
	rpin = 0;
	rstate = FREE
}

/* OpenConsumer, reads, Consumer.Close. Some members leave at once, others stay for some reads. */
proctype Member(byte me; byte reads)
{
	byte mine;

	{
	do
	/* lockConsumerRow: the lease, and CLEANING as well until the row is clean and owned */
	:: d_step { rlock == 0 -> rlock = me };
#ifdef MUT_NEWCOMER_WITHOUT_CLEANING
		break
#else
		if
		:: d_step { rclean == 0 -> rclean = me }; break
		:: else -> rlock = 0
		fi
#endif
	od;
	emptyRow();
	rstate = ATTACHING;
	d_step { rinc++; mine = rinc };
	atomic { drop(rclean) };
	rbit = 1;
	rstate = ACTIVE;
	do
	:: reads > 0 ->
		rpin = me;				/* a hold */
		atomic {
			if
			/* no other process has emptied the row while this member owns it */
			:: rstate == ACTIVE && rinc == mine -> assert(rbit && rpin == me)
			:: else -> reads = 0; goto fenced
			fi;
			reads--
		};
		if
		/* endHold: only if this member owns the row. An evictor may intervene; it empties the row
		 * again. */
		:: rstate == ACTIVE && rinc == mine -> rpin = 0
		:: else -> goto fenced
		fi
	:: reads == 0 -> break
	od;
	atomic {
		if
		:: rstate == ACTIVE && rinc == mine -> rstate = ATTACHING	/* detach: a compare-and-swap */
		:: else -> goto fenced
		fi
	};
	emptyRow();
fenced:
	atomic { drop(rlock); mine = 0; reads = 0; gone = gone | BIT(me) }
	} unless {
		atomic { kill?eval(me) -> d_step { dead = dead | BIT(me); drop(rlock); drop(rclean); mine = 0; reads = 0 } }
	}
}

/* recoverySession.evict, by force: takes the row of a living owner, or continues after a dead
 * evictor. */
proctype Evictor(byte me)
{
	byte who;

	{
	who = rinc;
	if
	:: rlock == 0 -> goto done			/* no process owns it: the cleaner's task */
	:: else
	fi;
#ifndef MUT_EVICT_WITHOUT_CLEANING
	if
	:: d_step { rclean == 0 -> rclean = me }
	:: else -> goto done
	fi;
#endif
#ifndef MUT_EVICT_ANYBODY
	if
	:: rinc != who -> goto done			/* the row has a new owner */
	:: else
	fi;
#endif
#ifdef MUT_EVICT_WITHOUT_SWAP
	rstate = EVICTING;
#else
	atomic {
		if
		:: rstate == ACTIVE -> rstate = MARK
		:: rstate == MARK
		:: else -> goto done
		fi
	};
#endif
#ifndef MUT_EVICT_WITHOUT_CLEANING
	assert(rinc == who);				/* FENCED reaches the owner that was meant */
#endif
	emptyRow();
done:
	atomic { drop(rclean); who = 0; gone = gone | BIT(me) }
	} unless {
		atomic { kill?eval(me) -> d_step { dead = dead | BIT(me); drop(rclean); who = 0 } }
	}
}

/* CleanRow, of a row without an owner: CLEANING, then the lease, which is the proof. After that
 * nothing is left in the row. */
proctype RowCleaner(byte me)
{
	{
	((dead | gone) & 6) == 6;			/* both members have ended */
	if
	:: d_step { rclean == 0 -> rclean = me }
	:: else -> goto done
	fi;
	d_step { rlock == 0 -> rlock = me };
	if
	:: rstate != FREE || rbit || rpin -> emptyRow()
	:: else
	fi;
	assert(rstate == FREE && !rbit && !rpin);	/* nothing is left in the row */
done:
	atomic { drop(rlock); drop(rclean); gone = gone | BIT(me) }
	} unless {
		atomic { kill?eval(me) -> d_step { dead = dead | BIT(me); drop(rlock); drop(rclean) } }
	}
}
