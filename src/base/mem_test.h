/* mem_test.h - allocations that fail on purpose, for tests. */
#ifndef BASE_MEM_TEST_H
#define BASE_MEM_TEST_H

/* Let the n-th next mem_try, mem_grow, mem_strndup, arena or pages call fail, and all later ones;
 * -1 switches it off. */
void mem_fail_after(long n);

#endif
