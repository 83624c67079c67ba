/* Sort and tree: quicksort of records by a comparison function, then an unbalanced binary tree with insertion and lookup. */
#include "runtime.h"

const char program_name[] = "sort";

enum { COUNT = 20000 };

struct record {
  u32 key, value;
};

static s32 compare(const struct record *a, const struct record *b) {
  return a->key < b->key ? -1 : a->key > b->key;
}

static void swap(struct record *a, struct record *b) {
  struct record kept = *a;
  *a = *b;
  *b = kept;
}

static void quicksort(struct record *first, struct record *last, s32 (*order)(const struct record *, const struct record *)) {
  while (last - first > 8) {
    struct record pivot = first[(last - first) / 2];
    struct record *i = first, *j = last;
    while (i <= j) {
      while (order(i, &pivot) < 0) i++;
      while (order(j, &pivot) > 0) j--;
      if (i <= j) swap(i++, j--);
    }
    quicksort(first, j, order);
    first = i;
  }
  for (struct record *i = first + 1; i <= last; i++) {
    for (struct record *j = i; j > first && order(j - 1, j) > 0; j--) swap(j - 1, j);
  }
}

struct node {
  struct node *left, *right;
  u32 key, count;
};

static struct node nodes[COUNT];

static struct node *insert(struct node *root, struct node *node) {
  struct node **at = &root;
  while (*at != NULL) {
    if ((*at)->key == node->key) {
      (*at)->count++;
      return root;
    }
    at = node->key < (*at)->key ? &(*at)->left : &(*at)->right;
  }
  *at = node;
  return root;
}

static u32 depth_sum(const struct node *node, u32 depth) {
  return node == NULL ? 0 : depth + depth_sum(node->left, depth + 1) + depth_sum(node->right, depth + 1);
}

u64 program(u32 scale) {
  static struct record records[COUNT];
  /* Kept from the compiler, so that the calls stay indirect. */
  s32 (*volatile order)(const struct record *, const struct record *) = compare;
  u64 seed = 2, sum = MIX_START;
  for (u32 pass = 0; pass < scale * 2; pass++) {
    for (u32 i = 0; i < COUNT; i++) records[i] = (struct record){random_next(&seed), i};
    struct node *root = NULL;
    for (u32 i = 0; i < COUNT; i++) {
      nodes[i] = (struct node){NULL, NULL, records[i].key, 1};
      root = insert(root, &nodes[i]);
    }
    sum = mix(sum, depth_sum(root, 0));
    quicksort(records, records + COUNT - 1, order);
    for (u32 i = 0; i < COUNT; i += 97) sum = mix(sum, records[i].key ^ records[i].value);
    u32 found = 0;
    for (u32 i = 0; i < COUNT; i++) {
      u32 key = records[i].key + (i & 1);
      const struct node *at = root;
      while (at != NULL && at->key != key) at = key < at->key ? at->left : at->right;
      found += at != NULL;
    }
    sum = mix(sum, found);
  }
  return sum;
}
