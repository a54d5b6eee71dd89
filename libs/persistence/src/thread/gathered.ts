/** Answers a function that hands on, as one array, what it was given within one turn of the event loop, in order. */
export function gathered<Item>(send: (items: Item[]) => void): (item: Item) => void {
  let items: Item[] = [];
  return (item) => {
    items.push(item);
    if (items.length > 1) return;
    setImmediate(() => {
      const gathering = items;
      items = [];
      send(gathering);
    });
  };
}
