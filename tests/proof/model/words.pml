/*
 * What the participants share, how they die, and what only the checker uses.
 *
 * One step is one hardware access or one system call. `atomic` and `d_step` only join such an
 * access with the private computation around it, or stand for an indivisible step of the hardware
 * or the kernel: compare-and-swap, exchange, and/or, fetch-and-add, futex wait (compare and
 * enqueue), wake all, a lock call, a rename.
 */

#ifndef N
#define N 2
#endif
#ifndef SPARE
#define SPARE 2
#endif
#ifndef ROWS
#define ROWS 1
#endif
#ifndef NBLK
#define NBLK 1
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef KILLABLE
#define KILLABLE 0
#endif
#ifndef ABORTS
#define ABORTS 0
#endif
#ifndef LEAVERS
#define LEAVERS 0
#endif
#ifndef PRODUCERS
#define PRODUCERS BIT(1)
#endif
#ifndef START_OK
#define START_OK true
#endif

#define BIT(i) (1 << (i))
#define SLOTS (N + SPARE)
#define ALL ((1 << SLOTS) - 1)

/* A ring entry: LOST, FENCE, tag (id + 1, 0 = empty), slot. Three bits of tag are enough for
 * seven messages. */
#define ENTRY(id, slot) ((((id) + 1) << 3) | (slot))
#define FENCE 64
#define LOST 128
#define TAG(v) (((v) >> 3) & 7)
#define SLOT(v) ((v) & 7)
#define AT(b, i) ((b) * N + (i) % N)
#define AFTER(n) ((n) > N -> (n) - N : 0)	/* the oldest id in the ring when n is the next one */

/* The entry of a reclaimed message names a slot that no block has. */
#ifdef RECLAIM
#define RECLAIMED 7
#define IS_RECLAIMED(v) (SLOT(v) == RECLAIMED)
#else
#define IS_RECLAIMED(v) false
#endif

#define READY 0
#define CLOSED 1
#define REPLACING 2
#define SUPERSEDED 3

#define ANY 255

/*
 * The counters `event`, `ctl_wake` and `scan_epoch` are only compared with an earlier load of the
 * same counter. So the model has the result of the comparison: a load sets the loader's bit, an
 * increment clears every bit, and an unchanged counter is a bit that is still set. That is exact as
 * long as the counter does not wrap completely in between.
 */

/* The data file. */
byte ent[NBLK * N];
byte state[NBLK];
byte commit[NBLK];
byte scan_same;          /* scan_epoch, bit per row */
byte event_same;         /* event, bit per row */
byte pw;                 /* producer_waiting */
byte w1[SLOTS];          /* a payload in two halves; each holds the id + 1 of the message written there */
byte w2[SLOTS];
byte claimed;            /* claim line: id + 1, 0 = none */

/* The control file. */
byte cursor[ROWS];
byte pins[ROWS];
byte maskL;              /* rows with a LOSSLESS reader */
byte maskP;              /* active rows: a refill reads their hazard pointers */
byte waiting;            /* bit per row */
byte status[ROWS];       /* identity: the participant, 0 = none */
byte join_epoch;
byte join_ack;
bit  ctl_same;           /* ctl_wake */

/* The kernel: locks (0 = free, else the holder) and futex queues. */
byte lock0[NBLK];
byte rowlock[ROWS];
byte cleaning[ROWS];
byte asleep;             /* rows queued on `event` */
bit  pasleep;            /* the producer queued on `ctl_wake` */

#ifdef WITH_Opener
byte name;		/* the block that the name leads to */
byte replacing[NBLK];	/* lock: this block is being displaced */
byte turn;		/* checker: counts the blocks that got the name */
byte order[NBLK];
byte current;		/* checker: the newest block whose open has returned */
#endif

/* Only the checker uses these. The protocol reads them only to decide that a run is over. */
byte published[NBLK];    /* number of published messages: the next id */
byte dead;               /* bit per process */
byte gone;               /* bit per process that ended by itself */
byte lost;               /* bit per id: an operator has discarded it */
bit  broken;             /* an operator's reset of the open claim has returned */
bit  told_end;           /* a LOSSLESS reader got SUPERSEDED */

/*
 * Bounded sleeps are the recovery path after a death. So a sleep ends by its bound at most once for
 * each death (`overdue`: bit per row, bit 7 for the producer). Every other wake-up has to come from
 * a living process. A missing wake-up leaves a process that waits for ever, which Spin reports as
 * an invalid end state.
 */
byte overdue;
#ifdef TIMEOUTS
#define TIMEOUT(bit) true
#define TOOK_TIMEOUT(bit) skip
#else
#define TIMEOUT(bit) (overdue & (bit))
#define TOOK_TIMEOUT(bit) overdue = overdue & ~(bit)
#endif
#define ALL_SLEEPERS (BIT(ROWS) - 1 + 128)

#define NO_PRODUCER ((PRODUCERS & ~(dead | gone)) == 0)

/*
 * A plain store may become visible late. `commit` holds the stored value. A load by another process
 * yields this value or any earlier one, so it may lag without limit and even step back. Only the
 * owner of row 0's lease after the writer's death loads the exact value: the kernel releases the
 * lease after the writer's memory has settled.
 */
inline loadCommit(x)
{
	x = commit[0];
#ifndef UNLAGGED
	do
	:: x > 0 -> x = x - 1
	:: break
	od
#else
	skip
#endif
}

/* Death at any step. Memory stops changing first, then the kernel releases the locks. */
chan kill = [0] of { byte };

#define DROP(lock) if :: lock == me -> lock = 0 :: else fi
#if ROWS > 2
#define DROP_ROWS DROP(rowlock[0]); DROP(rowlock[1]); DROP(rowlock[2]); \
	DROP(cleaning[0]); DROP(cleaning[1]); DROP(cleaning[2])
#elif ROWS > 1
#define DROP_ROWS DROP(rowlock[0]); DROP(rowlock[1]); DROP(cleaning[0]); DROP(cleaning[1])
#else
#define DROP_ROWS DROP(rowlock[0]); DROP(cleaning[0])
#endif
#ifdef WITH_Opener
#define DROP_BLOCKS DROP(lock0[0]); DROP(lock0[1]); DROP(lock0[2]); DROP(lock0[3]); \
	DROP(replacing[0]); DROP(replacing[1]); DROP(replacing[2]); DROP(replacing[3])
#else
#define DROP_BLOCKS DROP(lock0[0])
#endif
#define DIES kill?eval(me) -> d_step { dead = dead | BIT(me); overdue = ALL_SLEEPERS; DROP_BLOCKS; DROP_ROWS }
#define ENDS d_step { gone = gone | BIT(me); DROP_BLOCKS; DROP_ROWS }

#if DEATHS > 0
#if KILLABLE & 2
#define KILL_1 :: kill!1
#else
#define KILL_1
#endif
#if KILLABLE & 4
#define KILL_2 :: kill!2
#else
#define KILL_2
#endif
#if KILLABLE & 8
#define KILL_3 :: kill!3
#else
#define KILL_3
#endif
#if KILLABLE & 16
#define KILL_4 :: kill!4
#else
#define KILL_4
#endif
#if KILLABLE & 32
#define KILL_5 :: kill!5
#else
#define KILL_5
#endif
#define KILL_ONE KILL_1 KILL_2 KILL_3 KILL_4 KILL_5
active proctype Killer()
{
end1:	if KILL_ONE fi;
#if DEATHS > 1
end2:	if KILL_ONE fi;
#endif
#if DEATHS > 2
end3:	if KILL_ONE fi;
#endif
	skip
}
#endif

#ifdef MUT_LATE_CURSOR
#define LATE_CURSOR
#endif
#ifdef LATE_CURSOR
/* A cursor that is stored plainly: it becomes visible at any later time. */
byte late[ROWS];         /* value + 1, 0 = nothing pending */
active proctype Memory()
{
end:	do
	:: d_step { late[0] -> cursor[0] = late[0] - 1; late[0] = 0 }
#if ROWS > 1
	:: d_step { late[1] -> cursor[1] = late[1] - 1; late[1] = 0 }
#endif
	od
}
#endif

#ifdef WITH_Opener
#define BLK blk
#else
#define BLK 0
#endif

/* Consumer.Close, CleanRow: checks producer_waiting after a store that may end backpressure. */
inline wakeProducer()
{
	if
	:: pw -> ctl_same = 0; pasleep = 0
	:: else
	fi
}

/* Take-over, close and reset increment the event count and wake, independently of the mask. */
inline wakeAlways() { event_same = 0; asleep = 0 }
