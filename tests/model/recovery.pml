/* Cleaning and forced recovery: docs/protocol.md sections 1 and 4. */

/* cleanRow: CLEANING, then the row lock (the proof of death), bits first and identity last.
 * Locks are tried, never waited for. Every step is idempotent. */
inline cleanRow(row)
{
	if
	:: d_step { cleaning[row] == 0 -> cleaning[row] = me };
		if
#ifdef MUT_CLEAN_WITHOUT_LOCK
		:: rowlock[row] == 0 ->
#else
		:: d_step { rowlock[row] == 0 -> rowlock[row] = me };
#endif
#ifdef MUT_IDENTITY_FIRST
			status[row] = 0;
#endif
			maskL = maskL & ~BIT(row);
			maskP = maskP & ~BIT(row);
			pins[row] = 0;
#ifndef MUT_CLEAN_NO_WAKE
			wakeProducer();
#endif
			status[row] = 0;
#ifndef MUT_CLEAN_WITHOUT_LOCK
			rowlock[row] = 0;
#endif
			skip
		:: else
		fi;
		cleaning[row] = 0
	:: else ->
		/* somebody is cleaning, or only looking: a producer looks again after its next bounded
		 * sleep */
		if
		:: PRODUCERS & BIT(me) -> overdue = overdue | 128
		:: else
		fi
	fi
}

/* Producer.releaseDead: a held-up producer cleans the dead rows. Probing a living row changes
 * nothing, so that is left out while nobody has died. */
#define RELEASE_DEAD(row) \
	if \
	:: dead && (maskP & BIT(row)) && rowlock[row] == 0 -> cleanRow(row) \
	:: else \
	fi
inline releaseDead()
{
#ifdef RELEASES
	RELEASE_DEAD(0)
#if ROWS > 1
	;
	RELEASE_DEAD(1)
#endif
#else
	skip
#endif
}

#ifdef WITH_Cleaner
/* cleanup_dead_consumers: goes through the rows that have an identity. `after` names the process
 * it waits for, so that what the last one leaves behind can be judged. */
proctype Cleaner(byte me; byte row; byte after)
{
	bit leftover;

	{
	atomic { !after || ((dead | gone) & BIT(after));
	        leftover = (after && ((maskL | maskP) & BIT(row)) && !rowlock[row] && !cleaning[row]) };
	if
	:: status[row] -> cleanRow(row)
	:: else
	fi;
	atomic {
		/* what a dead row and a dead cleaner left is gone, unless somebody is at it now */
		assert(!leftover || rowlock[row] || cleaning[row] || !((maskL | maskP) & BIT(row)));
		ENDS
	}
	} unless {
		atomic { DIES }
	}
}
#endif

#ifdef WITH_Prober
/* probe of a row whose owner is dead, while cleaners come and go. The two bytes of a row are one
 * range when the cleaner holds both, and one question to the kernel tells that range from the
 * owner's single byte. */
proctype Prober(byte row)
{
#ifdef MUT_PROBE_TWO_LOOKS
	if
	:: rowlock[row] ->
		if
		:: cleaning[row]
		:: else -> assert(false)		/* the dead is called alive */
		fi
	:: else
	fi
#else
	assert(!rowlock[row] || cleaning[row] == rowlock[row])	/* free, or being cleaned: never alive */
#endif
}
#endif

#ifdef WITH_Resetter
/* ForceResetSlot with force: of an open claim (repairer.fence), or of a committed message
 * (repairer.discard). */
proctype Resetter(byte me; bit fence)
{
	byte c, v;

	{
	if
	:: fence ->
		c = claimed;
		do
		:: c ->
			v = ent[AT(0, c - 1)];
			if
			:: TAG(v) >= c -> break		/* published meanwhile */
			:: else ->
				atomic {
					if
					:: ent[AT(0, c - 1)] == v ->
						ent[AT(0, c - 1)] = v | FENCE;
						if :: claimed == c -> broken = 1 :: else fi;
						break
					:: else
					fi
				}
			fi
		:: !c -> break
		od
	:: !fence ->
		do
		:: c < N - 1 -> c++
		:: break
		od;
		do
		:: v = ent[c];
			atomic {
				if
				:: ent[c] == v -> ent[c] = v | LOST; lost = lost | BIT(TAG(v) - 1); break
				:: else
				fi
			}
		od
	fi;
	wakeAlways();
	atomic { c = 0; v = 0; gone = gone | BIT(me) }
	} unless {
		atomic { DIES; c = 0; v = 0 }
	}
}
#endif
