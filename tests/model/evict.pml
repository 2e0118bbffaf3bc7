/* One consumer row, whose living owner an operator may evict (docs/protocol.md section 4): who
 * may empty it, and whose it is then. Of the row there are its state, the incarnation, a bit and
 * a pin. */

#define FREE 0
#define ATTACHING 1
#define ACTIVE 2
#define EVICTING 3

byte rstate;
byte rinc;               /* incarnation */
bit  rbit;               /* the producer looks at this row */
byte rpin;
byte rlock, rclean;      /* the row's byte, and CLEANING: free, or the holder */

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

/* emptyRow: bits first, the state last. */
inline emptyRow()
{
	rbit = 0;
	rpin = 0;
	rstate = FREE
}

/* OpenConsumer, reads, Consumer.Close; some leave at once, some stay for a while. */
proctype Member(byte me; byte reads)
{
	byte mine;

	{
	do
	/* lockConsumerRow: its byte, and CLEANING with it until the row is clean and its own */
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
			/* nobody else has emptied it while it is one's own */
			:: rstate == ACTIVE && rinc == mine -> assert(rbit && rpin == me)
			:: else -> reads = 0; goto fenced
			fi;
			reads--
		};
		if
		/* endHold: only where the row is one's own; an evictor may come in between, and empties
		 * it again */
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

/* repairer.evict, by force: the row of somebody who lives, or what an evictor that died has
 * begun. */
proctype Evictor(byte me)
{
	byte who;

	{
	who = rinc;
	if
	:: rlock == 0 -> goto done			/* nobody has it: that is the cleaner's */
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
	:: rinc != who -> goto done			/* another has come into the row */
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
	assert(rinc == who);				/* whoever is told FENCED is the one who was meant */
#endif
	emptyRow();
done:
	atomic { drop(rclean); who = 0; gone = gone | BIT(me) }
	} unless {
		atomic { kill?eval(me) -> d_step { dead = dead | BIT(me); drop(rclean); who = 0 } }
	}
}

/* cleanRow, of a row that nobody has: CLEANING, then the row's byte, which proves it. What
 * anybody left is gone then. */
proctype RowCleaner(byte me)
{
	{
	((dead | gone) & 6) == 6;			/* both members came and went */
	if
	:: d_step { rclean == 0 -> rclean = me }
	:: else -> goto done
	fi;
	d_step { rlock == 0 -> rlock = me };
	if
	:: rstate != FREE || rbit || rpin -> emptyRow()
	:: else
	fi;
	assert(rstate == FREE && !rbit && !rpin);	/* nothing that nobody has is left */
done:
	atomic { drop(rlock); drop(rclean); gone = gone | BIT(me) }
	} unless {
		atomic { kill?eval(me) -> d_step { dead = dead | BIT(me); drop(rlock); drop(rclean) } }
	}
}
